//! Replacing a file as a whole: a reader sees the old text or the new one, and nothing between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Puts `new` in the place of `old`, which the file holds as far as the caller knows. A link stays a link.
///
/// # Errors
/// It cannot be written, or somebody else has written it meanwhile.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    let beside = beside(&target);
    let outcome = write(&beside, &target, new).and_then(|()| {
        if fs::read(&target)? != old.as_bytes() {
            return Err(io::Error::other("another program has changed it just now"));
        }
        fs::rename(&beside, &target)
    });
    if outcome.is_err() {
        // Nothing is left behind; that it cannot be removed is not what went wrong.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// A name in the same folder, so that the renaming does not cross file systems.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    target.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn write(beside: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(beside)?;
    fs::set_permissions(beside, fs::metadata(target)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
