//! Running gateways: how each leaves a file behind by which `stop`, `status` and `reload` find it, and how one is
//! started in the background.
//!
//! The file is locked as long as its gateway runs. A lock ends with its process, however that ends, so a file without
//! one is a left-over; a process id alone could by now belong to somebody else.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::config::Env;

/// A running gateway, as its file describes it. The file is 0600: it holds the token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) pid: i32,
    /// Where it accepts requests.
    pub(super) address: SocketAddr,
    pub(super) config: Option<PathBuf>,
    /// Opens `/admin/` where client keys are asked for. Made anew at each start.
    pub(super) token: String,
}

/// `$XDG_RUNTIME_DIR/routeplane`, or `$XDG_STATE_HOME/routeplane`, or `~/.local/state/routeplane`; `None` without a home.
pub(super) fn folder(env: &Env) -> Option<PathBuf> {
    let runtime = env.get("XDG_RUNTIME_DIR").or_else(|| env.get("XDG_STATE_HOME")).map(PathBuf::from);
    let home = env.get("HOME").map(|home| Path::new(home).join(".local/state"));
    runtime.or(home).map(|folder| folder.join("routeplane"))
}

/// The log of a gateway in the background.
pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.join("routeplane.log")
}

/// The folder, made where it is missing; only its owner may look into it.
///
/// # Errors
/// Those of the file system.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The file of this process. Removed when dropped.
pub(super) struct Registration {
    path: PathBuf,
    lock: File,
}

impl Registration {
    /// Writes the file of `instance`.
    ///
    /// # Errors
    /// Those of the file system: the gateway runs all the same, and cannot be found.
    pub(super) fn new(folder: &Path, instance: &Instance) -> io::Result<Registration> {
        make_folder(folder)?;
        let path = folder.join(format!("{}.json", instance.pid));
        let lock = write_locked(folder, &path, instance)?;
        Ok(Registration { path, lock })
    }

    /// Writes the file anew.
    ///
    /// # Errors
    /// Those of the file system; the old file stays.
    pub(super) fn rewrite(&mut self, folder: &Path, instance: &Instance) -> io::Result<()> {
        self.lock = write_locked(folder, &self.path, instance)?;
        Ok(())
    }
}

/// Whoever sees the file sees all of it, and locked.
fn write_locked(folder: &Path, path: &Path, instance: &Instance) -> io::Result<File> {
    let new = folder.join(format!(".{}.new", instance.pid));
    // A left-over of a process that had the same number.
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(&serde_json::to_vec_pretty(instance)?)?;
    std::fs::rename(&new, path)?;
    Ok(file)
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Every gateway that runs. Files of those that do not are removed.
///
/// # Errors
/// The folder is there and cannot be read.
pub(super) fn running(folder: &Path) -> io::Result<Vec<Instance>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut instances = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            instances.extend(look_at(&path)?);
        }
    }
    instances.sort_by_key(|instance: &Instance| instance.pid);
    Ok(instances)
}

fn look_at(path: &Path) -> io::Result<Option<Instance>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // It ended a moment ago.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        let _ = std::fs::remove_file(path);
        return Ok(None);
    }
    Ok(serde_json::from_reader(file).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(pid: i32) -> Instance {
        Instance { pid, address: ([127, 0, 0, 1], 4356).into(), config: None, token: "t".to_owned() }
    }

    #[test]
    fn a_gateway_is_found_while_it_runs_and_its_left_overs_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("routeplane");
        assert!(running(&folder).unwrap().is_empty());
        let mut one = Registration::new(&folder, &instance(1)).unwrap();
        std::fs::write(folder.join("2.json"), serde_json::to_vec(&instance(2)).unwrap()).unwrap();
        std::fs::write(folder.join("3.json"), "{\"pid\":").unwrap();
        let found: Vec<i32> = running(&folder).unwrap().iter().map(|instance| instance.pid).collect();
        assert_eq!(found, [1]);
        assert!(!folder.join("2.json").exists() && !folder.join("3.json").exists());

        let moved = Instance { address: ([127, 0, 0, 1], 9999).into(), ..instance(1) };
        one.rewrite(&folder, &moved).unwrap();
        assert_eq!(running(&folder).unwrap().first().map(|instance| instance.address.port()), Some(9999));
        drop(one);
        assert!(running(&folder).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
