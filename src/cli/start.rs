//! `routeplane start`: from the command line to a gateway that serves, and to its end.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config_file::{self, ConfigArg};
use super::daemon::{self, Instance, Registration};
use super::output::{complain, print, print_error};
use super::{Exit, background, banner, refusal};
use crate::config::Env;
use crate::diagnostic::{Code, Diagnostic};
use crate::live::candidate::{self, Cause, Compiler, Inputs, Refusal};
use crate::live::files::Snapshot;
use crate::live::reload::{self, Handle, Listeners, Parts};
use crate::live::status::{Board, service_manager};
use crate::live::{Live, LiveTable, findings};
use crate::proxy::Gateway;
use crate::proxy::admin::{self, AdminState};
use crate::proxy::doors::Doors;
use crate::proxy::explain::front_end;
use crate::table::telemetry::{AccessLog, FactDepth, LineFormat, Place};
use crate::telemetry::logs::{self, LogFormat};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{Sinks, access_log};

/// How long the last records may take to get where they go.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Start the gateway
///
/// It runs in the foreground until SIGTERM, SIGINT or `routeplane stop`, and reads its file again on SIGHUP.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// Where to listen, instead of the file's `listen`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,
    /// Run in the background; returns as soon as requests are accepted
    #[arg(long)]
    pub(super) detach: bool,
    /// The form of the log, which goes to stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// One line for each model call, to `stdout`, `stderr` or a file, instead of the file's `access_log`
    #[arg(long, value_name = "PLACE")]
    pub(super) access_log: Option<String>,
    /// This is the process in the background
    #[arg(long, hide = true)]
    pub(super) background: bool,
}

pub(super) fn run(args: &Args, env: Env) -> Exit {
    if args.detach {
        return background::start(args, &env);
    }
    if args.background {
        background::leave_the_terminal();
    }
    if let Err(problem) = logs::start(args.log_format, env.get("ROUTEPLANE_LOG")) {
        complain(problem);
        return Exit::Usage;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        // It ends with the process and not before: threads of the export may be in the middle of a call that lives in it, and would
        // panic. What must be done before the end is done by then.
        Ok(runtime) => ManuallyDrop::new(runtime),
        Err(error) => {
            complain(format_args!("the runtime cannot be started: {error}"));
            return Exit::Failed;
        }
    };
    let config = config_file::find(args.config.config.as_deref(), &env);
    let config = config.map(|path| std::path::absolute(&path).unwrap_or(path));
    let inputs = Inputs { config, listen: args.listen, env };
    let log = args.access_log.as_ref().map(|to| AccessLog {
        to: Place::from_text(to),
        format: LineFormat::default(),
        facts: FactDepth::default(),
    });
    let here = std::env::current_dir().unwrap_or_default();
    let access_log = log.map(|log| access_log::Settings::of(&log, &here));
    if let Some(problem) = access_log.as_ref().and_then(|log| log.probe().err()) {
        complain(problem);
        return Exit::Failed;
    }
    let lines_to = args.access_log.as_deref().map(Place::from_text);
    match runtime.block_on(serve(inputs, access_log, (args.log_format, lines_to))) {
        Ok(()) => Exit::Done,
        Err(refused) => match args.log_format {
            LogFormat::Text => refusal::report(&refused),
            LogFormat::Json => refusal::log(&refused),
        },
    }
}

/// Everything from the first look at the file to the last request. `lines_to` is where the command line wants the access log.
async fn serve(
    inputs: Inputs,
    access_log: Option<access_log::Settings>,
    (format, lines_to): (LogFormat, Option<Place>),
) -> Result<(), Refusal> {
    // Before anything else: a signal that comes during the start is answered after it.
    let mut signals = Signals::new();
    let started = start(inputs, access_log).await?;
    let mut registered = Registered::new(&started);
    announce(&started, format, lines_to.as_ref());
    service_manager::ready("generation 1 is live");
    let mut changes = started.board.subscribe();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Asked::Reload => {
                    started.sinks.reopen();
                    started.reloads.ask();
                }
                Asked::Stop => break,
            },
            Ok(()) = changes.changed() => registered.follow(changes.borrow_and_update().listen),
        }
    }
    started.board.drain();
    let limit = started.live.load().table.limits.drain;
    tracing::info!("stopping; requests have {limit:?} to finish");
    tokio::select! {
        () = started.doors.close(limit) => tracing::info!("stopped"),
        () = signals.stop() => tracing::warn!("stopped at once"),
    }
    let sinks = started.sinks;
    // What is not written by then is lost.
    let _ = tokio::task::spawn_blocking(move || sinks.flush(LAST_RECORDS)).await;
    Ok(())
}

/// Says that the gateway serves: to people on stdout, or on stderr where stdout is for the lines of the access log; to programs as
/// a line of the log.
fn announce(started: &Started, format: LogFormat, lines_to: Option<&Place>) {
    let live = started.live.load();
    let listen = started.board.status().listen;
    if format == LogFormat::Json {
        let config = started.config.as_deref().map(|path| path.display().to_string());
        tracing::info!(version = env!("CARGO_PKG_VERSION"), %listen, config, generation = live.generation, "serving");
        return;
    }
    let text = banner::text(&live, started.config.as_deref(), listen);
    let lines_to = lines_to.or(live.table.access_log.as_ref().map(|log| &log.to));
    if lines_to == Some(&Place::Stdout) { print_error(text) } else { print(text) }
}

/// A gateway that serves.
struct Started {
    config: Option<PathBuf>,
    live: Arc<LiveTable>,
    board: Arc<Board>,
    reloads: Handle,
    sinks: Arc<Sinks>,
    doors: Arc<Doors>,
    token: String,
    folder: Option<PathBuf>,
}

/// Compiles, prepares, binds; serves only when all of that has worked.
async fn start(inputs: Inputs, access_log: Option<access_log::Settings>) -> Result<Started, Refusal> {
    let compiler = Compiler::new(Arc::new(front_end));
    let mut snapshot = Snapshot::read(inputs.config.as_deref(), &BTreeSet::new());
    let first = compiler.candidate(&inputs, &mut snapshot).await?;
    findings::warn(&first.warnings, &first.sources);
    let origin = first.origin;
    let (table, runtime) = candidate::prepare(first.compiled, &inputs, None).await?;

    let doors = Doors::new(table.limits.connections);
    let asked = table.listen;
    let bound = doors.bind(asked).map_err(|error| not_bound(&inputs, asked, &error))?;
    let live = Arc::new(LiveTable::new(Live { table, generation: 1, runtime }));
    let metrics = Arc::new(Metrics::new());
    let board = Arc::new(Board::new(inputs.config.clone(), bound.address, &origin.id, metrics.clone()));
    let (reloads, requests) = reload::channel();
    let token = new_token();
    let sinks = Sinks::start(metrics.clone(), access_log);
    sinks.apply(&live.load().runtime.telemetry);
    let admin = AdminState {
        live: live.clone(),
        board: board.clone(),
        reloads: reloads.clone(),
        token: token.as_str().into(),
        sinks: sinks.clone(),
    };
    let gateway = Gateway {
        live: live.clone(),
        traffic: metrics.traffic.clone(),
        sinks: sinks.clone(),
        responses: Arc::default(),
        cache: Arc::default(),
        objects: Arc::default(),
        inferences: Arc::default(),
        shadows: Default::default(),
        side: admin::router(admin),
    };
    doors.answer_with(Arc::new(gateway));
    let started = Started {
        config: inputs.config.clone(),
        live: live.clone(),
        board: board.clone(),
        reloads,
        sinks: sinks.clone(),
        doors: doors.clone(),
        token,
        folder: daemon::folder(&inputs.env),
    };
    let listeners = Arc::new(doors);
    reload::spawn(Parts { inputs, live, board, sinks, listeners, compiler, remind: reload::REMIND }, origin, requests);
    (bound.serve)();
    Ok(started)
}

/// Why `address` cannot be listened on; another gateway of this user is named.
fn not_bound(inputs: &Inputs, address: SocketAddr, error: &std::io::Error) -> Refusal {
    let folder = daemon::folder(&inputs.env).filter(|_| error.kind() == std::io::ErrorKind::AddrInUse);
    let running = folder.and_then(|folder| daemon::running(&folder).ok()).unwrap_or_default();
    let Some(other) = running.iter().find(|instance| instance.address.port() == address.port()) else {
        return candidate::listen_failed(inputs, address, error);
    };
    let pid = other.pid;
    let message = format!("the routeplane with pid {pid} already listens at `{}`", other.address);
    let help = format!(
        "stop it with `routeplane stop --address {}`, let it read its file again with `routeplane reload`, or choose \
         another address with `--listen`",
        other.address
    );
    let diagnostic = Diagnostic::new(Code::ListenFailed, message).help(help);
    Refusal::of_file(Cause::Address, inputs.config.as_deref(), vec![diagnostic])
}

/// 256 random bits, in hexadecimal.
fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    match random.fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // Without randomness there is no token that anybody could present.
        Err(_) => String::new(),
    }
}

const NOT_FOUND: &str = "`routeplane stop`, `status` and `reload` will not find this gateway";

/// The file by which the gateway is found, if there is a place for one.
struct Registered {
    folder: Option<PathBuf>,
    instance: Instance,
    registration: Option<Registration>,
}

impl Registered {
    fn new(started: &Started) -> Registered {
        let instance = Instance {
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            address: started.board.status().listen,
            config: started.config.clone(),
            token: started.token.clone(),
        };
        let mut registered = Registered { folder: started.folder.clone(), instance, registration: None };
        registered.write();
        registered
    }

    /// A reload has moved the listener, or not.
    fn follow(&mut self, address: SocketAddr) {
        if self.instance.address != address {
            self.instance.address = address;
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(folder) = self.folder.as_deref() else {
            tracing::warn!("{NOT_FOUND}: there is no folder for its state file; set `XDG_RUNTIME_DIR` or `HOME`");
            return;
        };
        let written = match &mut self.registration {
            Some(registration) => registration.rewrite(folder, &self.instance),
            None => Registration::new(folder, &self.instance).map(|new| self.registration = Some(new)),
        };
        if let Err(error) = written {
            let folder = folder.display();
            tracing::warn!(
                "{NOT_FOUND}: its state file cannot be written to `{folder}` ({error}); set `XDG_RUNTIME_DIR`"
            );
        }
    }
}

/// What a signal asks for.
enum Asked {
    Reload,
    Stop,
}

/// The signals that are answered. One that cannot be listened to keeps its usual effect.
struct Signals {
    hangup: Option<Signal>,
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    fn new() -> Signals {
        let listen = |kind| match signal(kind) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, "a signal cannot be listened to");
                None
            }
        };
        Signals {
            hangup: listen(SignalKind::hangup()),
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
        }
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            () = received(&mut self.hangup) => Asked::Reload,
            () = received(&mut self.terminate) => Asked::Stop,
            () = received(&mut self.interrupt) => Asked::Stop,
        }
    }

    async fn stop(&mut self) {
        while let Asked::Reload = self.next().await {}
    }
}

async fn received(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
