//! Runs the binary in front of mock upstreams.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::mock_upstream::MockUpstream;

/// A running Routeplane; it stops when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    child: Child,
    log: PathBuf,
    folder: tempfile::TempDir,
}

/// The key that [`provider`] gives to the upstream of that name.
pub(crate) fn provider_key(name: &str) -> String {
    format!("sk-provider-{name}-d41d8cd98f00b204")
}

/// One entry of `providers:`, with a key of its own from the environment.
pub(crate) fn provider(name: &str, protocol: &str, base_url: &str) -> String {
    format!("  {name}: {{ protocol: {protocol}, base_url: \"{base_url}\", key: env:KEY_OF_{name} }}\n")
}

/// `providers:` with one entry for each mock, named and speaking as given.
pub(crate) fn providers(entries: &[(&str, &str, &MockUpstream)]) -> String {
    let entries = entries.iter().map(|(name, protocol, mock)| provider(name, protocol, &mock.base_url(protocol)));
    format!("version: 1\nproviders:\n{}", entries.collect::<String>())
}

/// The binary with an environment that holds what a test needs and nothing of the machine's.
pub(crate) fn command(folder: &std::path::Path, yaml: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_routeplane"));
    command.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder).env("XDG_STATE_HOME", folder);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for name in yaml.split("env:KEY_OF_").skip(1) {
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        command.env(format!("KEY_OF_{name}"), provider_key(&name));
    }
    command
}

impl Gateway {
    /// Starts on a free port with `yaml` as its file.
    pub(crate) async fn start(yaml: &str) -> Gateway {
        Gateway::start_with(yaml, &[]).await
    }

    /// As [`Gateway::start`], with more variables in the environment.
    pub(crate) async fn start_with(yaml: &str, environment: &[(&str, &str)]) -> Gateway {
        Gateway::start_in(tempfile::tempdir().unwrap(), yaml, environment).await
    }

    /// As [`Gateway::start`], with `files` beside its own.
    pub(crate) async fn start_beside(yaml: &str, files: &[(&str, &str)]) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Gateway::start_in(folder, yaml, &[]).await
    }

    async fn start_in(folder: tempfile::TempDir, yaml: &str, environment: &[(&str, &str)]) -> Gateway {
        let (file, log) = (folder.path().join("routeplane.yaml"), folder.path().join("log"));
        std::fs::write(&file, yaml).unwrap();
        let output = std::fs::File::create(&log).unwrap();
        let child = command(folder.path(), yaml)
            .args(["start", "--config"])
            .arg(&file)
            .args(["--listen", "127.0.0.1:0"])
            .envs(environment.iter().copied())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Gateway { address: nowhere, child, log, folder };
        gateway.address = gateway.wait_until_live().await;
        gateway
    }

    /// Waits for the line that says where it listens: a port that the test chose could be somebody else's by then.
    async fn wait_until_live(&mut self) -> SocketAddr {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(address) = listening(&self.log()) {
                return address;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("routeplane ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "routeplane is not live after 20 s:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs another command of the program, which finds this gateway.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> String {
        let output = command(self.folder.path(), "").args(arguments).output().await.unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complained}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes its file anew.
    pub(crate) fn edit(&self, yaml: &str) {
        std::fs::write(self.folder.path().join("routeplane.yaml"), yaml).unwrap();
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Where its file is.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Everything that it printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// Where a gateway listens, once its log says so. By then it has said what is wrong with its surroundings.
pub(crate) fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find_map(|line| line.trim().strip_prefix("listening"));
    let address = line?.trim().strip_prefix("http://")?.trim();
    Some(address.parse().unwrap_or_else(|error| panic!("`{address}`: {error}")))
}

/// An address on loopback that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
