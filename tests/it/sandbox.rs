//! Runs the binary in a folder and an environment of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::http_client::{self, Response};

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A home folder and an environment, both empty but for what the test puts there.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// A sandbox with `text` as its `routeplane.yaml`.
    pub(crate) fn with(text: &str) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.write("routeplane.yaml", text);
        sandbox
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Sandbox {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, in the sandbox.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_routeplane"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.folder.path()).env("XDG_RUNTIME_DIR", self.path("run"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a shell script in the sandbox's folder.
    pub(crate) fn shell(&self, script: &str) {
        let status = Command::new("sh").arg("-ec").arg(script).current_dir(self.folder.path()).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// The files by which running gateways are found.
    pub(crate) fn state_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("run/routeplane")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// Starts a gateway on a free port, with these arguments more.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Daemon {
        self.launch(&[&["start", "--listen", "127.0.0.1:0"], arguments].concat()).await
    }

    /// Starts a gateway with exactly these arguments.
    pub(crate) async fn launch(&self, arguments: &[&str]) -> Daemon {
        let log = self.path("log");
        let output = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let stdout = std::fs::File::create(self.path("stdout")).unwrap();
        let child = self.command(arguments).stdout(stdout).stderr(output).spawn().unwrap();
        let file = self.path(&format!("run/routeplane/{}.json", child.id()));
        let mut daemon = Daemon {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            token: String::new(),
            file,
            log,
            out: self.path("stdout"),
        };
        let deadline = Instant::now() + PATIENCE;
        while !daemon.read_file() {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("routeplane ended with {status}:\n{}", daemon.log());
            }
            assert!(Instant::now() < deadline, "routeplane does not serve:\n{}", daemon.log());
            tokio::time::sleep(PAUSE).await;
        }
        daemon
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Daemon {
    child: std::process::Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    file: PathBuf,
    log: PathBuf,
    out: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn read_file(&mut self) -> bool {
        let Some(instance) = read_json(&self.file) else { return false };
        self.address = instance["address"].as_str().unwrap().parse().unwrap();
        self.token = instance["token"].as_str().unwrap().to_owned();
        true
    }

    /// Follows a listener that has moved.
    pub(crate) fn look_again(&mut self) -> SocketAddr {
        assert!(self.read_file());
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        http_client::get(self.address, path).await
    }

    /// `/admin/config/status`.
    pub(crate) async fn status(&self) -> Value {
        self.get("/admin/config/status").await.expect_status(200).json()
    }

    pub(crate) async fn generation(&self) -> u64 {
        self.status().await["active"]["generation"].as_u64().unwrap()
    }

    /// `POST /admin/reload`.
    pub(crate) async fn reload(&self) -> Response {
        http_client::request(self.address, "POST", "/admin/reload?wait=20s", &[], b"").await
    }

    /// The value of one line of `/metrics`, by its name with labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.expect_status(200).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no `{name}` in\n{text}")).parse().unwrap()
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn(&Daemon) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self).await {
            assert!(Instant::now() < deadline, "waited in vain until {what}; the log:\n{}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end and returns the exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
