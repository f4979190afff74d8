//! `routeplane start --detach`: the same program once more, in the background.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::control::reachable;
use super::daemon::{self, Instance};
use super::output::{complain, print, print_error};
use super::{Exit, start};
use crate::config::Env;

/// Longest time from the start of the process to its first accepted request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether it is there.
const PAUSE: Duration = Duration::from_millis(10);

/// Starts a gateway in the background and waits until it serves, or has failed.
pub(super) fn start(args: &start::Args, env: &Env) -> Exit {
    let Some(folder) = daemon::folder(env) else {
        complain(
            "a gateway in the background needs a folder for its log and its state; set `XDG_RUNTIME_DIR` or `HOME`, or \
             start it without `--detach`",
        );
        return Exit::Failed;
    };
    let log = daemon::log_file(&folder);
    let spawned = daemon::make_folder(&folder).and_then(|()| open(&log)).and_then(|(file, length)| {
        let child = spawn(args, &file)?;
        Ok((child, length))
    });
    match spawned {
        Ok((child, length)) => wait(child, &folder, &log, length),
        Err(error) => {
            let folder = folder.display();
            complain(format_args!(
                "the gateway cannot be started in the background, with its log and its state in `{folder}`: {error}; set \
                 `XDG_RUNTIME_DIR` to a folder that can be written, or start it without `--detach`"
            ));
            if error.kind() == io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Failed }
        }
    }
}

/// The process in the background leaves the terminal: closing it sends no signal any more.
pub(super) fn leave_the_terminal() {
    // It fails only for a process that leads a session already, which is what is wanted.
    let _ = rustix::process::setsid();
}

/// The log, and how long it is before this start.
fn open(log: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn spawn(args: &start::Args, log: &File) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["start", "--background"]);
    if let Some(config) = &args.config.config {
        command.arg("--config").arg(config);
    }
    if let Some(listen) = args.listen {
        command.args(["--listen", &listen.to_string()]);
    }
    command.args(["--log-format", args.log_format.name()]);
    if let Some(place) = &args.access_log {
        command.args(["--access-log", place]);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    command.spawn()
}

fn wait(mut child: Child, folder: &Path, log: &Path, length: u64) -> Exit {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(instance) = registered(folder, child.id()) {
            let (pid, address) = (instance.pid, reachable(instance.address));
            print(format_args!("routeplane runs in the background with pid {pid} at http://{address}"));
            print(format_args!("its log is {}; `routeplane stop` ends it", log.display()));
            return Exit::Done;
        }
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::park_timeout(PAUSE),
            Ok(None) => {
                complain(format_args!("the gateway does not serve after {PATIENCE:?}; see {}", log.display()));
                return Exit::Timeout;
            }
            Ok(Some(status)) => {
                print_error(written_since(log, length).trim_end());
                return status.code().and_then(Exit::from_number).unwrap_or(Exit::Failed);
            }
            Err(error) => {
                complain(format_args!("the process cannot be waited for: {error}"));
                return Exit::Failed;
            }
        }
    }
}

fn registered(folder: &Path, pid: u32) -> Option<Instance> {
    let running = daemon::running(folder).ok()?;
    running.into_iter().find(|instance| u32::try_from(instance.pid) == Ok(pid))
}

fn written_since(log: &Path, length: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(length))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    read().unwrap_or_else(|error| format!("the log {} cannot be read: {error}", log.display()))
}
