//! Notices that a file may have changed. The only file that names `notify`.
//!
//! Events are hints, the content decides: whatever happens here leads to at most one look at the files. Folders are
//! watched, not files, because editors and Kubernetes replace files and links instead of writing into them; a poll of
//! the content runs beside, because network file systems give no events and queues overflow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};

use super::files::Snapshot;
use super::status::Board;
use crate::table::{ReloadSettings, WatchMode};
use crate::telemetry::metrics::WatchState;

/// Symbolic links followed on the way to one file; the kernel's own limit.
const MOST_LINKS: usize = 40;
/// Between the end of a watcher task, which should not happen, and its restart.
const RESTART: Duration = Duration::from_secs(1);
/// Between an event and a new look at where the links lead: a swap of links is several events.
const REARM: Duration = Duration::from_millis(20);

/// What to watch. A new one is published after each reload.
#[derive(Clone)]
pub struct Plan {
    /// `None`: there is no file, and nothing to watch.
    pub config: Option<PathBuf>,
    /// The files that the configuration names.
    pub others: BTreeSet<PathBuf>,
    /// Of the files as the reloader last saw them.
    pub digest: blake3::Hash,
    pub settings: ReloadSettings,
}

impl Plan {
    fn mode(&self) -> WatchMode {
        if self.config.is_none() { WatchMode::Off } else { self.settings.watch }
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.config.iter().chain(&self.others).map(PathBuf::as_path)
    }
}

/// From the watcher to the reloader.
#[derive(Default)]
pub struct Signal {
    changed: Notify,
    rearm: Notify,
    /// Files that somebody has written into and not closed yet.
    open: Mutex<BTreeSet<PathBuf>>,
}

impl Signal {
    /// Something may have changed since the last call returned.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A writer has not closed a file yet: what is there may be half of it.
    pub fn is_being_written(&self) -> bool {
        !self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Nobody will say when they close: they must not be waited for.
    fn forget_writers(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, event: &Event, names: &BTreeSet<PathBuf>) {
        if !self.concerns(event, names) {
            return;
        }
        self.follow_writers(event);
        self.changed.notify_one();
        self.rearm.notify_one();
    }

    fn concerns(&self, event: &Event, names: &BTreeSet<PathBuf>) -> bool {
        // Reading a file is an event too; answering those would never end.
        let read = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        !read && (event.paths.is_empty() || event.paths.iter().any(|path| names.contains(path)))
    }

    fn follow_writers(&self, event: &Event) {
        if event.need_rescan() {
            self.forget_writers();
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &event.paths {
            // Only inotify says when a writer closes.
            if cfg!(target_os = "linux") && matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))) {
                open.insert(path.clone());
            } else if !matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_))) {
                open.remove(path);
            }
        }
    }
}

/// Watches until the process ends. Each half is started anew should it ever end.
pub fn spawn(plan: watch::Receiver<Plan>, signal: Arc<Signal>, board: Arc<Board>) {
    let (plans, signals) = (plan.clone(), signal.clone());
    tokio::spawn(supervise("events", move || follow_events(plans.clone(), signals.clone(), board.clone())));
    tokio::spawn(supervise("poll", move || poll(plan.clone(), signal.clone())));
}

async fn supervise<F>(name: &'static str, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match tokio::spawn(start()).await {
            Ok(()) => return,
            Err(error) => tracing::error!(watcher = name, %error, "the configuration watcher failed and is restarted"),
        }
        tokio::time::sleep(RESTART).await;
    }
}

/// Ends only when no reloader is left to tell.
async fn follow_events(mut plan: watch::Receiver<Plan>, signal: Arc<Signal>, board: Arc<Board>) {
    let mut armed: Option<(Places, RecommendedWatcher)> = None;
    loop {
        let wanted = plan.borrow_and_update().clone();
        match wanted.mode() {
            WatchMode::Auto => arm(&wanted, &mut armed, &signal, &board).await,
            WatchMode::Poll => {
                armed = None;
                board.watching(WatchState::Poll, None);
            }
            WatchMode::Off => {
                armed = None;
                board.watching(WatchState::Off, None);
            }
        }
        if armed.is_none() {
            signal.forget_writers();
        }
        tokio::select! {
            changed = plan.changed() => if changed.is_err() { return },
            () = signal.rearm.notified() => tokio::time::sleep(REARM).await,
            () = tokio::time::sleep(wanted.settings.poll_interval) => {}
        }
    }
}

/// Makes the watches fit where the files are now. The new watcher stands before the old one goes.
async fn arm(plan: &Plan, armed: &mut Option<(Places, RecommendedWatcher)>, signal: &Arc<Signal>, board: &Board) {
    let places = Places::of(plan.paths());
    if armed.as_ref().is_some_and(|(old, _)| *old == places) {
        return;
    }
    match start(&places, signal.clone()) {
        Ok(watcher) => {
            *armed = Some((places, watcher));
            board.watching(WatchState::Events, None);
            look(plan, signal).await;
        }
        Err(error) => {
            *armed = None;
            board.watching(WatchState::Poll, Some(format!("no events from the operating system: {error}")));
        }
    }
}

fn start(places: &Places, signal: Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let names = places.names.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) => signal.note(&event, &names),
        // Something was missed: look.
        Err(_) => {
            signal.forget_writers();
            signal.changed.notify_one();
        }
    })?;
    for folder in places.folders.keys() {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

async fn poll(mut plan: watch::Receiver<Plan>, signal: Arc<Signal>) {
    loop {
        let wanted = plan.borrow_and_update().clone();
        if wanted.mode() != WatchMode::Off {
            look(&wanted, &signal).await;
        }
        let pause = tokio::time::sleep(wanted.settings.poll_interval);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                changed = plan.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Compares the content with what the reloader saw.
async fn look(plan: &Plan, signal: &Signal) {
    let (config, others) = (plan.config.clone(), plan.others.clone());
    let digest = tokio::task::spawn_blocking(move || Snapshot::read(config.as_deref(), &others).digest()).await;
    if digest.is_ok_and(|digest| digest != plan.digest) {
        signal.changed.notify_one();
    }
}

/// Where the files are, link by link.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    /// Folders to watch, with their inodes: a folder that was replaced is another one.
    folders: BTreeMap<PathBuf, u64>,
    /// The entries in them that matter: files, links to them, and parts of the path that are missing.
    names: BTreeSet<PathBuf>,
}

impl Places {
    fn of<'p>(paths: impl Iterator<Item = &'p Path>) -> Places {
        let mut places = Places::default();
        for path in paths {
            places.trace(path);
        }
        places
    }

    /// Follows `path` as the kernel does and notes each link on the way, and the end.
    fn trace(&mut self, path: &Path) {
        let mut here = PathBuf::new();
        let mut rest: VecDeque<OsString> = names(path).collect();
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            match std::fs::read_link(&next) {
                Ok(target) if links < MOST_LINKS => {
                    links += 1;
                    self.note(&next);
                    // An absolute target begins with the root, and joining that replaces what is here.
                    for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(name);
                    }
                }
                _ => here = next,
            }
        }
        self.note(&here);
    }

    /// Watches the folder of `entry`; where that is missing, the nearest one that is there.
    fn note(&mut self, entry: &Path) {
        let mut entry = entry;
        loop {
            self.names.insert(entry.to_owned());
            let Some(folder) = entry.parent() else { return };
            let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if let Some(inode) = inode(shown) {
                self.folders.insert(shown.to_owned(), inode);
                return;
            }
            entry = folder;
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    let components = path.components().filter(|component| *component != Component::CurDir);
    components.map(|component| component.as_os_str().to_owned())
}

fn inode(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir).map(|metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_link_on_the_way_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        // As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a folder with a time in its name.
        std::fs::create_dir(root.join("..2026_01")).unwrap();
        std::fs::write(root.join("..2026_01/routeplane.yaml"), "version: 1").unwrap();
        symlink("..2026_01", root.join("..data")).unwrap();
        symlink("..data/routeplane.yaml", root.join("routeplane.yaml")).unwrap();
        let places = Places::of([root.join("routeplane.yaml").as_path()].into_iter());
        assert_eq!(
            places.names,
            [root.join("routeplane.yaml"), root.join("..data"), root.join("..2026_01/routeplane.yaml")].into()
        );
        assert_eq!(places.folders.into_keys().collect::<Vec<_>>(), [root.clone(), root.join("..2026_01")]);
    }

    #[test]
    fn a_missing_folder_is_awaited_from_above() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let places = Places::of([root.join("a/b/routeplane.yaml").as_path()].into_iter());
        assert_eq!(places.folders.into_keys().collect::<Vec<_>>(), std::slice::from_ref(&root));
        assert!(places.names.contains(&root.join("a")));
    }

    #[test]
    fn a_writer_whose_end_nobody_will_report_is_not_waited_for() {
        use notify::event::{DataChange, Flag};

        let path = PathBuf::from("/etc/routeplane.yaml");
        let names = BTreeSet::from([path.clone()]);
        let written = Event::new(EventKind::Modify(ModifyKind::Data(DataChange::Any))).add_path(path.clone());
        let closed = Event::new(EventKind::Access(AccessKind::Close(AccessMode::Write))).add_path(path);
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        let signal = Signal::default();
        for end in [closed, overflow] {
            signal.note(&written, &names);
            assert_eq!(signal.is_being_written(), cfg!(target_os = "linux"));
            signal.note(&end, &names);
            assert!(!signal.is_being_written(), "{end:?}");
        }
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(!Places::of([folder.path().join("a").as_path()].into_iter()).folders.is_empty());
    }

    #[tokio::test]
    async fn a_watcher_that_panics_is_restarted() {
        let starts = Arc::new(AtomicU32::new(0));
        let count = starts.clone();
        supervise("test", move || {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            async move { assert!(nth >= 2, "an injected failure") }
        })
        .await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }
}
