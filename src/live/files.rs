//! Reads the configuration and the files it names. Nothing else on the way to a table touches a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Files;

/// Most bytes that the configuration or a file it names may have.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    Missing,
    PermissionDenied,
    Directory,
    /// A device, a socket or a pipe: reading it might never end.
    NotAFile,
    TooLarge,
    NotText,
    Other(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Missing => f.write_str("there is no such file"),
            Unreadable::PermissionDenied => f.write_str("permission denied"),
            Unreadable::Directory => f.write_str("it is a folder"),
            Unreadable::NotAFile => f.write_str("it is not a regular file"),
            Unreadable::TooLarge => write!(f, "it has more than {} KiB", MAX_BYTES >> 10),
            Unreadable::NotText => f.write_str("it is not UTF-8 text"),
            Unreadable::Other(error) => f.write_str(error),
        }
    }
}

type Content = Result<Arc<[u8]>, Unreadable>;

/// The files as they were at one moment. No `Debug`: it may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    config: Option<PathBuf>,
    contents: BTreeMap<PathBuf, Content>,
}

impl Snapshot {
    /// Reads the configuration (`None`: there is no file, the built-in defaults hold) and `others`.
    pub fn read(config: Option<&Path>, others: &BTreeSet<PathBuf>) -> Snapshot {
        let paths = config.map(Path::to_owned).into_iter().chain(others.iter().cloned());
        let contents = paths.map(|path| (path.clone(), read(&path))).collect();
        Snapshot { config: config.map(Path::to_owned), contents }
    }

    /// The same with these texts in place of what is on the disk: an editor has changed them and not saved.
    pub fn with<'t>(mut self, texts: impl IntoIterator<Item = (&'t Path, &'t str)>) -> Snapshot {
        let contents = texts.into_iter().map(|(path, text)| (path.to_owned(), Ok(text.as_bytes().into())));
        self.contents.extend(contents);
        self
    }

    /// The configuration's text; empty where there is no file.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn text(&self) -> Result<&str, Unreadable> {
        let Some(path) = &self.config else { return Ok("") };
        match self.contents.get(path) {
            Some(Ok(bytes)) => std::str::from_utf8(bytes).map_err(|_| Unreadable::NotText),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Unreadable::Missing),
        }
    }

    /// The configuration and those of `others` that are in this snapshot.
    pub fn restricted(&self, others: &BTreeSet<PathBuf>) -> Snapshot {
        let wanted = |path: &PathBuf| Some(path) == self.config.as_ref() || others.contains(path);
        let contents = self.contents.iter().filter(|(path, _)| wanted(path));
        let contents = contents.map(|(path, content)| (path.clone(), content.clone())).collect();
        Snapshot { config: self.config.clone(), contents }
    }

    pub fn contains(&self, path: &Path) -> bool {
        self.contents.contains_key(path)
    }

    /// The files besides the configuration.
    pub fn others(&self) -> BTreeSet<PathBuf> {
        self.contents.keys().filter(|path| Some(*path) != self.config.as_ref()).cloned().collect()
    }

    /// Equal for equal bytes (or equal failures) at equal places, as seen from the configuration's folder.
    pub fn digest(&self) -> blake3::Hash {
        let folder = self.folder();
        let mut hasher = blake3::Hasher::new();
        for (path, content) in &self.contents {
            let place = if Some(path) == self.config.as_ref() {
                Path::new("")
            } else {
                path.strip_prefix(&folder).unwrap_or(path)
            };
            field(&mut hasher, place.as_os_str().as_encoded_bytes());
            match content {
                Ok(bytes) => field(hasher.update(b"+"), bytes),
                Err(error) => field(hasher.update(b"-"), error.to_string().as_bytes()),
            }
        }
        hasher.finalize()
    }

    /// Where the configuration is; names in it are relative to this folder.
    pub fn folder(&self) -> PathBuf {
        folder_of(self.config.as_deref())
    }
}

/// The folder that names in the configuration are relative to: its own, or the current one without a file.
pub fn folder_of(config: Option<&Path>) -> PathBuf {
    config.and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
}

/// Adds `bytes` so that no two different sequences of fields give the same input.
pub(super) fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

/// The text of one file, within the same bounds.
///
/// # Errors
/// Why it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Unreadable> {
    String::from_utf8(read(path)?.to_vec()).map_err(|_| Unreadable::NotText)
}

fn read(path: &Path) -> Content {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(Unreadable::Directory);
    }
    if !metadata.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_BYTES { Err(Unreadable::TooLarge) } else { Ok(bytes.into()) }
}

fn unreadable(error: &std::io::Error) -> Unreadable {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unreadable::Missing,
        ErrorKind::PermissionDenied => Unreadable::PermissionDenied,
        ErrorKind::IsADirectory => Unreadable::Directory,
        _ => Unreadable::Other(error.to_string()),
    }
}

/// Answers the compiler out of a snapshot. What the snapshot lacks is read now and noted, so that the caller can take a
/// larger snapshot and be sure that all files belong together.
pub struct SnapshotFiles<'s> {
    snapshot: &'s Snapshot,
    unlisted: RefCell<BTreeMap<PathBuf, Content>>,
}

impl<'s> SnapshotFiles<'s> {
    pub fn new(snapshot: &'s Snapshot) -> SnapshotFiles<'s> {
        SnapshotFiles { snapshot, unlisted: RefCell::default() }
    }

    /// The files that were asked for and are not in the snapshot.
    pub fn unlisted(self) -> BTreeSet<PathBuf> {
        self.unlisted.into_inner().into_keys().collect()
    }
}

impl Files for SnapshotFiles<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        let path = self.snapshot.folder().join(path);
        let content = match self.snapshot.contents.get(&path) {
            Some(content) => content.clone(),
            None => self.unlisted.borrow_mut().entry(path.clone()).or_insert_with(|| read(&path)).clone(),
        };
        let text = content.and_then(|bytes| String::from_utf8(bytes.to_vec()).map_err(|_| Unreadable::NotText));
        text.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_follows_content_and_not_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let (a, prompt_a) = (write("a/routeplane.yaml", "version: 1"), write("a/prompt.md", "hello"));
        let (b, prompt_b) = (write("b/routeplane.yaml", "version: 1"), write("b/prompt.md", "hello"));
        let digest = |config: &Path, other: &Path| Snapshot::read(Some(config), &[other.to_owned()].into()).digest();
        assert_eq!(digest(&a, &prompt_a), digest(&b, &prompt_b));
        write("b/prompt.md", "goodbye");
        assert_ne!(digest(&a, &prompt_a), digest(&b, &prompt_b));
    }

    #[test]
    fn every_way_of_being_unreadable_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routeplane.yaml");
        let text = || Snapshot::read(Some(&path), &BTreeSet::new()).text().map(str::to_owned);
        assert_eq!(text(), Err(Unreadable::Missing));
        std::fs::create_dir(&path).unwrap();
        assert_eq!(text(), Err(Unreadable::Directory));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(text(), Err(Unreadable::NotText));
        std::fs::write(&path, vec![b'#'; usize::try_from(MAX_BYTES).unwrap() + 1]).unwrap();
        assert_eq!(text(), Err(Unreadable::TooLarge));
        std::fs::write(&path, "version: 1").unwrap();
        assert_eq!(text(), Ok("version: 1".to_owned()));
    }

    #[test]
    fn files_that_were_not_listed_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("routeplane.yaml");
        std::fs::write(folder.path().join("prompt.md"), "hello").unwrap();
        let snapshot = Snapshot::read(Some(&config), &BTreeSet::new());
        let files = SnapshotFiles::new(&snapshot);
        assert_eq!(files.read("prompt.md"), Ok("hello".to_owned()));
        assert!(files.read("absent.md").is_err());
        assert_eq!(
            files.unlisted(),
            [folder.path().join("absent.md"), folder.path().join("prompt.md")].into_iter().collect()
        );
    }
}
