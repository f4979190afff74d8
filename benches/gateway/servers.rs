//! The three servers: the mock upstream, nginx, and Routeplane; each ends when dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::process;
use crate::scenario::CLIENT_KEY;

/// A server under load.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) processes: Vec<u32>,
}

/// Ends its process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's workers outlive a killed master: ask first.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// The upstream.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    _running: Running,
}

impl Mock {
    /// This binary once more, as the upstream.
    pub(crate) fn start() -> Mock {
        let binary = std::env::current_exe().unwrap();
        let mut child = Command::new(binary).arg("--mock").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Mock { address: line.trim().parse().unwrap(), _running: Running(child) }
    }
}

/// nginx as a plain reverse proxy: keep-alive to the upstream, no buffering, two workers.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    running: Running,
    _folder: tempfile::TempDir,
}

impl Nginx {
    pub(crate) async fn start(mock: &Mock) -> Nginx {
        let binary = find_nginx().expect("this bench compares with nginx: install it (apt-get install nginx-light)");
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, nginx_file(address, mock.address)).unwrap();
        let child = Command::new(binary).arg("-p").arg(folder.path()).arg("-c").arg(&file).spawn().unwrap();
        let nginx = Nginx { address, running: Running(child), _folder: folder };
        wait_for(address).await;
        nginx
    }

    pub(crate) fn side(&self) -> Side {
        Side { name: "nginx", address: self.address, processes: process::children(self.running.0.id()) }
    }
}

fn find_nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps it where the PATH of an ordinary user does not look.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|binary| binary.is_file())
}

fn nginx_file(listen: SocketAddr, upstream: SocketAddr) -> String {
    // Workers run as the user who starts the bench: the folder is nobody else's.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off;
{user}
worker_processes 2;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_buffer_size 256k;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  tcp_nodelay on;
  upstream mock {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }}
  }}
}}
"
    )
}

/// The binary of this package, built for the bench, with client keys asked for.
pub(crate) struct Routeplane {
    pub(crate) address: SocketAddr,
    running: Running,
    folder: tempfile::TempDir,
}

/// The binary that is measured, where it is not the one that cargo has built for the bench.
static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// From now on this binary is started.
pub(crate) fn measure_this(binary: PathBuf) {
    // It is said once, before the first one is started.
    let _ = BINARY.set(std::path::absolute(binary).expect("a path"));
}

fn binary() -> &'static Path {
    BINARY.get().map_or(Path::new(env!("CARGO_BIN_EXE_routeplane")), PathBuf::as_path)
}

impl Routeplane {
    /// Asks for client keys, and serves the three providers of the bench.
    pub(crate) async fn start(mock: &Mock) -> Routeplane {
        let keys = "keys: { bench: env:BENCH_CLIENT_KEY }\n";
        Routeplane::start_with(&routeplane_file(mock.address, keys)).await
    }

    /// Tells nothing and keeps nothing: no request leaves a record. The counters of `/metrics` are always there.
    pub(crate) async fn start_silent(mock: &Mock) -> Routeplane {
        let more = "keys: { bench: env:BENCH_CLIENT_KEY }\ntelemetry: { recent: false }\n";
        Routeplane::start_with(&routeplane_file(mock.address, more)).await
    }

    /// Tells everything: an access log, and every signal to a collector, each trace sampled.
    pub(crate) async fn start_telling(mock: &Mock) -> Routeplane {
        let more = format!(
            "keys: {{ bench: env:BENCH_CLIENT_KEY }}\naccess_log: calls.jsonl\ntelemetry: {{ otlp: \"http://{}\" }}\n",
            mock.address
        );
        Routeplane::start_with(&routeplane_file(mock.address, &more)).await
    }

    pub(crate) async fn start_with(file: &str) -> Routeplane {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        std::fs::write(folder.path().join("routeplane.yaml"), file).unwrap();
        let child = Command::new(binary())
            .args(["start", "--config", "routeplane.yaml", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_clear()
            .envs([("HOME", folder.path()), ("XDG_RUNTIME_DIR", folder.path()), ("XDG_STATE_HOME", folder.path())])
            .envs([("BENCH_CLIENT_KEY", CLIENT_KEY), ("BENCH_PROVIDER_KEY", "bench-provider-key")])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = listening(&folder.path().join("log")).await;
        Routeplane { address, running: Running(child), folder }
    }

    pub(crate) fn processes(&self) -> Vec<u32> {
        vec![self.running.0.id()]
    }

    pub(crate) fn side(&self, name: &'static str) -> Side {
        Side { name, address: self.address, processes: self.processes() }
    }

    /// The lines of its metrics that say what telemetry has lost, by place.
    pub(crate) async fn lost(&self) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {CLIENT_KEY}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with("routeplane_telemetry_dropped_total{"));
        lines.map(str::to_owned).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The file of the bench; `more` is put at its end.
pub(crate) fn routeplane_file(mock: SocketAddr, more: &str) -> String {
    format!(
        "version: 1
providers:
  chat: {{ protocol: openai-chat, base_url: \"http://{mock}/v1\", key: env:BENCH_PROVIDER_KEY, models: [m1] }}
  messages: {{ protocol: anthropic-messages, base_url: \"http://{mock}\", key: env:BENCH_PROVIDER_KEY, models: [m1] }}
  gemini: {{ protocol: gemini, base_url: \"http://{mock}\", key: env:BENCH_PROVIDER_KEY, models: [m1] }}
{more}"
    )
}

/// Waits for the line in which Routeplane says where it listens.
async fn listening(log: &Path) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let line = said.lines().find_map(|line| line.trim().strip_prefix("listening"));
        if let Some(address) = line.and_then(|line| line.trim().strip_prefix("http://")) {
            return address.trim().parse().expect("an address");
        }
        assert!(Instant::now() < deadline, "routeplane does not listen after 10 s: {said}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < deadline, "nothing listens at {address} after 10 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
