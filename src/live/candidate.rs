//! From files to something that could become live. The same steps for `check`, `start` and a reload, so that they cannot
//! disagree: read, compile, judge.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Live;
use super::files::{Snapshot, SnapshotFiles, Unreadable, field, folder_of};
use crate::config::document::LiteralSecret;
use crate::config::{self, Env, Proof, Tests};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::provider::SecretRef;
use crate::source::{SourceMap, Span};
use crate::state::Runtime;
use crate::table::RoutingTable;
use crate::table::explain::Carry;

/// Between two reads that must agree: a file that is being written differs.
const SETTLE: Duration = Duration::from_millis(50);
/// Longest time that compiling may take by the clock. The largest files take a second and a half of work, which a machine that
/// is busy with other things draws out: that is no reason to refuse a file, or to start.
const BUDGET: Duration = Duration::from_secs(15);
/// Files may name files; this often the set of files may grow before it is taken as it is.
const MOST_ROUNDS: u32 = 8;

/// What a table is made from, besides the content of the files.
#[derive(Clone)]
pub struct Inputs {
    /// The configuration's absolute path; `None`: there is none, and the built-in defaults hold.
    pub config: Option<PathBuf>,
    /// `--listen`: wins over the file.
    pub listen: Option<SocketAddr>,
    pub env: Env,
}

/// What the front end makes of a snapshot.
pub struct Evaluation {
    pub sources: SourceMap,
    pub diagnostics: Diagnostics,
    /// Absent where `diagnostics` has errors.
    pub compiled: Option<Compiled>,
    /// Files that were needed and are not in the snapshot.
    pub unlisted: BTreeSet<PathBuf>,
}

/// A compiled file.
pub struct Compiled {
    pub table: RoutingTable,
    /// Keys written in the file; never in the table.
    pub literals: Vec<LiteralSecret>,
    /// How many tests of the file were run.
    pub tests: usize,
    pub proof: Proof,
}

/// The front end, as this module sees it. A parameter, so that a test can make it slow, or fail.
pub type Compile = dyn Fn(&Inputs, &Snapshot) -> Evaluation + Send + Sync;

/// The front end without the request path: what tests of the file expect of losses is not judged.
pub fn front_end(inputs: &Inputs, snapshot: &Snapshot) -> Evaluation {
    front_end_with(inputs, snapshot, None)
}

/// The real front end; `carry` is what the request path does with a body.
pub fn front_end_with(inputs: &Inputs, snapshot: &Snapshot, carry: Option<Carry>) -> Evaluation {
    let files = SnapshotFiles::new(snapshot);
    let name = inputs.config.as_ref().map(|path| path.display().to_string());
    let text = snapshot.text().unwrap_or_default();
    let file = name.as_deref().map(|name| (name, text));
    let compiled = config::Inputs { file, listen: inputs.listen, env: &inputs.env, files: &files };
    let compilation = config::compile_with(compiled, Tests::Run(carry));
    let (literals, tests, proof) = (compilation.literals, compilation.tests, compilation.proof);
    Evaluation {
        sources: compilation.sources,
        diagnostics: compilation.diagnostics,
        compiled: compilation.table.map(|table| Compiled { table, literals, tests, proof }),
        unlisted: files.unlisted(),
    }
}

/// A compiled file with what is known of its origin.
pub struct Candidate {
    pub compiled: Compiled,
    pub sources: SourceMap,
    pub warnings: Diagnostics,
    pub origin: Origin,
}

/// The files that something was made of.
#[derive(Clone)]
pub struct Origin {
    /// Files besides the configuration.
    pub others: BTreeSet<PathBuf>,
    pub digest: blake3::Hash,
    /// Content id, hex: of the files, the variables that the table refers to, and this program's version.
    pub id: String,
}

/// Why nothing can become live.
pub struct Refusal {
    pub cause: Cause,
    pub diagnostics: Diagnostics,
    pub sources: SourceMap,
}

/// What kind of thing is wrong; decides the exit code of `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Missing,
    Denied,
    Invalid,
    Address,
    Draining,
}

impl Refusal {
    /// A refusal that concerns the whole file.
    pub fn of_file(cause: Cause, config: Option<&Path>, diagnostics: Vec<Diagnostic>) -> Refusal {
        let mut sources = SourceMap::default();
        let place = config.map(|config| sources.add(config.display().to_string(), ""));
        let mut all = Diagnostics::default();
        for diagnostic in diagnostics {
            all.push(match place {
                Some(source) => diagnostic.label(Span::new(source, 0, 0), ""),
                None => diagnostic,
            });
        }
        Refusal { cause, diagnostics: all, sources }
    }
}

/// Reads until two reads, a moment apart, agree.
pub async fn settle(config: Option<&Path>, others: &BTreeSet<PathBuf>) -> Snapshot {
    let mut before = read(config, others).await;
    loop {
        tokio::time::sleep(SETTLE).await;
        let after = read(config, others).await;
        if before == after {
            return after;
        }
        before = after;
    }
}

async fn read(config: Option<&Path>, others: &BTreeSet<PathBuf>) -> Snapshot {
    let (path, paths) = (config.map(Path::to_owned), others.clone());
    let read = tokio::task::spawn_blocking(move || Snapshot::read(path.as_deref(), &paths)).await;
    read.unwrap_or_else(|_| Snapshot::read(None, &BTreeSet::new()))
}

/// Compiles, within bounds, one at a time.
pub struct Compiler {
    compile: Arc<Compile>,
    budget: Duration,
    /// A compilation that went over its time cannot be stopped; no other begins before it ends.
    one: Arc<Semaphore>,
}

impl Compiler {
    pub fn new(compile: Arc<Compile>) -> Compiler {
        Compiler::within(BUDGET, compile)
    }

    /// As [`Compiler::new`], with another longest time.
    pub fn within(budget: Duration, compile: Arc<Compile>) -> Compiler {
        Compiler { compile, budget, one: Arc::new(Semaphore::new(1)) }
    }

    /// Makes a candidate of `snapshot`, which is taken anew as long as it turns out that more files belong to it.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub async fn candidate(&self, inputs: &Inputs, snapshot: &mut Snapshot) -> Result<Candidate, Refusal> {
        for _ in 0..MOST_ROUNDS {
            let evaluation = self.evaluate(inputs, snapshot).await?;
            if evaluation.unlisted.is_empty() {
                return judge(inputs, snapshot, evaluation);
            }
            let mut others = snapshot.others();
            others.extend(evaluation.unlisted);
            *snapshot = settle(inputs.config.as_deref(), &others).await;
        }
        let diagnostic = Diagnostic::new(Code::CompileFailed, "the files name ever more files");
        Err(Refusal::of_file(Cause::Invalid, inputs.config.as_deref(), vec![diagnostic]))
    }

    async fn evaluate(&self, inputs: &Inputs, snapshot: &Snapshot) -> Result<Evaluation, Refusal> {
        let refused = |message: &str| {
            let diagnostic = Diagnostic::new(Code::CompileFailed, message.to_owned());
            Refusal::of_file(Cause::Invalid, inputs.config.as_deref(), vec![diagnostic])
        };
        let Ok(permit) = self.one.clone().try_acquire_owned() else {
            return Err(refused("the compilation of an earlier version of the file is still running"));
        };
        let (compile, inputs, snapshot) = (self.compile.clone(), inputs.clone(), snapshot.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            evaluate(&*compile, &inputs, &snapshot)
        });
        match tokio::time::timeout(self.budget, work).await {
            Ok(Ok(evaluation)) => evaluation,
            Ok(Err(_)) => Err(refused("the compiler failed on this file; this is a fault of routeplane")),
            Err(_) => {
                let budget = self.budget.as_secs();
                Err(refused(&format!(
                    "compiling the file took longer than {budget} s; make it shorter, or look at what keeps the machine busy"
                )))
            }
        }
    }
}

/// One look at a snapshot, without bounds: what `check` does.
///
/// # Errors
/// The configuration cannot be read, or is empty.
pub fn evaluate(compile: &Compile, inputs: &Inputs, snapshot: &Snapshot) -> Result<Evaluation, Refusal> {
    readable(inputs, snapshot)?;
    let mut evaluation = compile(inputs, snapshot);
    let secrets =
        evaluation.compiled.iter().flat_map(|compiled| secret_files(&compiled.table, inputs.config.as_deref()));
    let missing: Vec<PathBuf> = secrets.filter(|path| !snapshot.contains(path)).collect();
    evaluation.unlisted.extend(missing);
    Ok(evaluation)
}

/// What is wrong with the file before anybody has looked into it.
fn readable(inputs: &Inputs, snapshot: &Snapshot) -> Result<(), Refusal> {
    let Some(config) = &inputs.config else { return Ok(()) };
    let refuse = |cause, code, message: String, help: &str| {
        Err(Refusal::of_file(cause, Some(config), vec![Diagnostic::new(code, message).help(help)]))
    };
    match snapshot.text() {
        Ok(text) if says_nothing(text) => refuse(
            Cause::Invalid,
            Code::ConfigEmpty,
            "the configuration file is empty".to_owned(),
            "write at least `version: 1`, or remove the file to run with the built-in defaults",
        ),
        Ok(_) => Ok(()),
        Err(Unreadable::Missing) => refuse(
            Cause::Missing,
            Code::ConfigMissing,
            format!("the configuration file `{}` is not there", config.display()),
            "put it back, or write one with `routeplane init`",
        ),
        Err(error) => {
            let cause = if error == Unreadable::PermissionDenied { Cause::Denied } else { Cause::Invalid };
            let message = format!("the configuration file `{}` cannot be read: {error}", config.display());
            refuse(cause, Code::ConfigUnreadable, message, "make it a text file that this user may read")
        }
    }
}

fn says_nothing(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "...")
}

/// A candidate, unless something is wrong.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn judge(inputs: &Inputs, snapshot: &Snapshot, evaluation: Evaluation) -> Result<Candidate, Refusal> {
    let Evaluation { sources, diagnostics, compiled, .. } = evaluation;
    let Some(mut compiled) = compiled.filter(|_| !diagnostics.has_errors()) else {
        return Err(Refusal { cause: Cause::Invalid, diagnostics, sources });
    };
    if let Some(listen) = inputs.listen {
        if !listen.ip().is_loopback() && compiled.table.keys.is_empty() {
            return Err(exposed(listen));
        }
        compiled.table.listen = listen;
    }
    let origin = origin(&inputs.env, snapshot, Some(&compiled.table));
    Ok(Candidate { compiled, sources, warnings: diagnostics, origin })
}

fn exposed(listen: SocketAddr) -> Refusal {
    let message = format!("`--listen {listen}` can be reached from other machines, and the file has no `keys:`");
    let help = "add client keys (`keys: { me: env:ROUTEPLANE_KEY }`), or listen on 127.0.0.1";
    Refusal::of_file(Cause::Invalid, None, vec![Diagnostic::new(Code::ListenExposed, message).help(help)])
}

/// What `snapshot` is, by content. The variables count only where a table refers to them.
pub fn origin(env: &Env, snapshot: &Snapshot, table: Option<&RoutingTable>) -> Origin {
    let digest = snapshot.digest();
    let mut hasher = blake3::Hasher::new();
    field(&mut hasher, env!("CARGO_PKG_VERSION").as_bytes());
    field(&mut hasher, digest.as_bytes());
    let variables: BTreeSet<&str> = table.into_iter().flat_map(RoutingTable::secrets).filter_map(variable).collect();
    for name in variables {
        field(&mut hasher, name.as_bytes());
        let value = env.get(name).map(|value| blake3::hash(value.as_bytes()));
        field(&mut hasher, value.as_ref().map_or(&[], |hash| hash.as_bytes().as_slice()));
    }
    Origin { others: snapshot.others(), digest, id: hasher.finalize().to_hex().to_string() }
}

fn variable(secret: &SecretRef) -> Option<&str> {
    match secret {
        SecretRef::Env(name) => Some(name),
        SecretRef::File(_) | SecretRef::Literal(_) => None,
    }
}

fn secret_files(table: &RoutingTable, config: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let folder = folder_of(config);
    let paths = table.secrets().filter_map(|secret| match secret {
        SecretRef::File(path) => Some(&**path),
        SecretRef::Env(_) | SecretRef::Literal(_) => None,
    });
    let tls = table.otlp.iter().flat_map(|otlp| otlp.tls.files()).map(|(_, path)| path);
    paths.chain(tls).map(move |path| folder.join(path))
}

/// A file that was cut off is still YAML. Refuses one that has lost all, or more than half, of what the live one has.
///
/// # Errors
/// What was lost.
pub fn guard_against_shrinking(inputs: &Inputs, old: &RoutingTable, table: &RoutingTable) -> Result<(), Refusal> {
    if table.reload.allow_shrink {
        return Ok(());
    }
    let counts = [
        ("presets", old.presets.len(), table.presets.len()),
        ("rules", old.rules.len(), table.rules.len()),
        ("routes", old.routes.len(), table.routes.len()),
        ("client keys", old.keys.len(), table.keys.len()),
    ];
    let lost = counts.into_iter().find(|(_, before, after)| *before > 0 && (*after == 0 || after * 2 < *before));
    let Some((what, before, after)) = lost else { return Ok(()) };
    let message = format!("the file has {after} {what}, and what is live has {before}: it looks cut off");
    let help = "if it is meant, set `reload: { allow_shrink: true }` in the file";
    let diagnostic = Diagnostic::new(Code::ConfigShrunk, message).help(help);
    Err(Refusal::of_file(Cause::Invalid, inputs.config.as_deref(), vec![diagnostic]))
}

/// The run-time side of a compiled table: secrets and connections, carried over from `previous`.
///
/// # Errors
/// The secrets that cannot be had.
pub async fn prepare(
    compiled: Compiled,
    inputs: &Inputs,
    previous: Option<Arc<Live>>,
) -> Result<(RoutingTable, Runtime), Refusal> {
    let (env, folder) = (inputs.env.clone(), folder_of(inputs.config.as_deref()));
    let work = tokio::task::spawn_blocking(move || {
        let Compiled { table, literals, tests: _, proof: _ } = compiled;
        let previous = previous.as_ref().map(|live| &live.runtime);
        let runtime = Runtime::prepare(&table, &literals, &env, &folder, previous)?;
        Ok::<_, Vec<String>>((table, runtime))
    });
    let problems = match work.await {
        Ok(Ok(prepared)) => return Ok(prepared),
        Ok(Err(problems)) => problems,
        Err(_) => vec!["setting up secrets and connections failed; this is a fault of routeplane".to_owned()],
    };
    let diagnostics = problems.into_iter().map(|problem| Diagnostic::new(Code::RuntimeFailed, problem)).collect();
    Err(Refusal::of_file(Cause::Invalid, inputs.config.as_deref(), diagnostics))
}

/// An address that cannot be listened on.
pub fn listen_failed(inputs: &Inputs, address: SocketAddr, error: &std::io::Error) -> Refusal {
    let (message, help) = match error.kind() {
        ErrorKind::AddrInUse => (
            format!("`{address}` is in use by another process"),
            "stop the other process, or choose another address with `listen:` or `--listen`",
        ),
        ErrorKind::PermissionDenied => {
            (format!("`{address}` needs more rights than this process has"), "choose a port of 1024 or higher")
        }
        ErrorKind::AddrNotAvailable => {
            (format!("`{address}` does not belong to this machine"), "choose an address of this machine, or 127.0.0.1")
        }
        _ => (format!("cannot listen on `{address}`: {error}"), "choose another address"),
    };
    Refusal::of_file(
        Cause::Address,
        inputs.config.as_deref(),
        vec![Diagnostic::new(Code::ListenFailed, message).help(help)],
    )
}
