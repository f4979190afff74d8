//! The access log: one line for each model call, written to its place by a thread of its own. Whoever puts a record here
//! makes the line of it, while the record is at hand, and never waits: a place that is slow, full or gone loses lines, which
//! are counted, and nothing else.
//!
//! A file may be moved away or cut at any time, as log rotation does: before each write the path is compared with what is
//! open, and lines are appended.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::line;
use super::metrics::TelemetryMetrics;
use super::record::Record;
use super::room::Room;
use crate::table::telemetry::{AccessLog, FactDepth, LineFormat, Place};

/// Lines that may wait for the writer.
const QUEUE: usize = 4096;
/// Lines that are handed over and written at once, at most: the writer is woken once for all of them.
const TOGETHER: usize = 256;
/// Bytes of them, at most, but for the last line.
const BATCH: usize = 128 << 10;
/// Empty buffers that come back from the writer to be filled again.
const SPARE: usize = 2;
/// Between two complaints about a place that cannot be written to.
const COMPLAIN: Duration = Duration::from_secs(60);

/// An access log as it was asked for, its path made absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    to: To,
    format: LineFormat,
    pub facts: FactDepth,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Stdout,
    Stderr,
    File(PathBuf),
}

impl Settings {
    /// Relative paths are looked for in `folder`.
    pub fn of(log: &AccessLog, folder: &Path) -> Settings {
        let to = match &log.to {
            Place::Stdout => To::Stdout,
            Place::Stderr => To::Stderr,
            Place::File(path) => To::File(folder.join(&**path)),
        };
        Settings { to, format: log.format, facts: log.facts }
    }

    /// Tries whether lines can be written there.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn probe(&self) -> Result<(), String> {
        let To::File(path) = &self.to else { return Ok(()) };
        open(path).map(drop).map_err(|error| {
            format!("the access log `{}` cannot be written: {error}; make its folder writable, or choose another path in `access_log`", path.display())
        })
    }

    fn is_json(&self) -> bool {
        match (self.format, &self.to) {
            (LineFormat::Json, _) => true,
            (LineFormat::Text, _) => false,
            (LineFormat::Auto, To::Stdout) => !io::stdout().is_terminal(),
            (LineFormat::Auto, To::Stderr) => !io::stderr().is_terminal(),
            (LineFormat::Auto, To::File(_)) => true,
        }
    }
}

/// Appends, and never waits: not for a reader of a pipe either.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    // Only this user and its group: names of users may be in it.
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

/// Where records are put. Dropping it lets the writer end, once it has written what is there.
pub struct Handle {
    queue: SyncSender<Job>,
    json: bool,
    /// What has been put and not handed over yet.
    put: Lines,
    spare: Receiver<Vec<u8>>,
    room: Room,
}

/// Whole lines.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    count: usize,
}

enum Job {
    Write(Lines),
    /// The file is opened anew.
    Reopen,
    /// Dropped when everything before it is written.
    Flush(SyncSender<()>),
}

impl Handle {
    /// Starts the writer.
    pub fn start(settings: Settings, metrics: TelemetryMetrics) -> Handle {
        let (queue, jobs) = sync_channel(QUEUE);
        let json = settings.is_json();
        let room = Room::new(QUEUE, SINK, &metrics);
        let (emptied, spare) = sync_channel(SPARE);
        let to = settings.to;
        let writer = Writer { to, file: None, torn: false, complained: None, emptied, room: room.clone(), metrics };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        if let Err(error) = thread.spawn(move || writer.run(&jobs)) {
            tracing::error!(%error, "no thread for the access log: nothing is written to it");
        }
        Handle { queue, json, put: Lines::default(), spare, room }
    }

    /// Takes the line of a record. It is handed over with those that come right behind it, at the latest by
    /// [`Handle::hand_over`].
    pub fn put(&mut self, record: &Record) {
        let Lines { text, count } = &mut self.put;
        if *count == 0 {
            *text = self.spare.try_recv().unwrap_or_default();
        }
        line::write(record, self.json, text);
        *count += 1;
        if *count >= TOGETHER || text.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Hands everything over that has been put.
    pub fn hand_over(&mut self) {
        let lines = std::mem::take(&mut self.put);
        let count = lines.count;
        if count == 0 || !self.room.take(count) {
            return;
        }
        if self.queue.try_send(Job::Write(lines)).is_err() {
            // There is no writer: nobody else takes them out.
            self.room.left(count);
            self.room.counts().dropped(SINK, count as u64);
        }
    }

    pub fn reopen(&mut self) {
        self.hand_over();
        // Where the queue is full, the file is looked at soon anyway.
        let _ = self.queue.try_send(Job::Reopen);
    }

    /// `done` is dropped when all that has been put is written.
    pub fn flush(&mut self, done: SyncSender<()>) {
        self.hand_over();
        let _ = self.queue.try_send(Job::Flush(done));
    }
}

/// The label of lost lines.
const SINK: &str = "access_log";

struct Writer {
    to: To,
    file: Option<File>,
    /// The last write has broken off within a line.
    torn: bool,
    complained: Option<Instant>,
    /// Where buffers go that have been written.
    emptied: SyncSender<Vec<u8>>,
    room: Room,
    metrics: TelemetryMetrics,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Write(lines) => self.write_all(lines),
                Job::Reopen => {
                    self.file = None;
                    // The new one is there before the next line.
                    self.write(&[], 0);
                }
                // Everything before it is written.
                Job::Flush(done) => drop(done),
            }
        }
    }

    fn write_all(&mut self, Lines { mut text, count }: Lines) {
        self.write(&text, count as u64);
        self.room.left(count);
        text.clear();
        if text.capacity() <= 2 * BATCH {
            // Where enough of them wait to be filled, it is freed.
            let _ = self.emptied.try_send(text);
        }
    }

    fn write(&mut self, batch: &[u8], lines: u64) {
        if let Err((lost, error)) = self.try_write(batch) {
            self.metrics.dropped(SINK, lost.min(lines.max(1)));
            if self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN) {
                self.complained = Some(Instant::now());
                tracing::warn!(%error, "the access log cannot be written; lines are lost, and counted in `routeplane_telemetry_dropped_total`");
            }
        }
    }

    /// Writes whole lines as far as they go; else says how many are lost.
    fn try_write(&mut self, batch: &[u8]) -> Result<(), (u64, io::Error)> {
        let all = |error| (count(batch), error);
        if matches!(self.to, To::File(_)) {
            self.look().map_err(all)?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let mut out: Box<dyn Write + '_> = match (&self.to, &mut self.file) {
            (To::Stdout, _) => Box::new(io::stdout().lock()),
            (To::Stderr, _) => Box::new(io::stderr().lock()),
            (To::File(_), Some(file)) => Box::new(file),
            (To::File(_), None) => return Err(all(io::Error::other("it is not open"))),
        };
        let result = advance(&mut *out, self.torn, batch, &mut written).and_then(|()| out.flush());
        drop(out);
        let (done, rest) = batch.split_at_checked(written).unwrap_or((batch, &[]));
        if written > 0 {
            self.torn = done.last() != Some(&b'\n');
        }
        result.map_err(|error| (count(rest).max(1), error))
    }

    /// The file that lines go to, opened anew where the path leads elsewhere by now.
    fn look(&mut self) -> io::Result<()> {
        let To::File(path) = &self.to else { return Ok(()) };
        let same = |file: &File| {
            let (open, named) = (file.metadata()?, std::fs::metadata(path)?);
            Ok::<bool, io::Error>((open.dev(), open.ino()) == (named.dev(), named.ino()))
        };
        if self.file.as_ref().is_some_and(|file| same(file).unwrap_or(false)) {
            return Ok(());
        }
        self.file = None;
        self.torn = false;
        self.file = Some(open(path)?);
        Ok(())
    }
}

/// A line that broke off is ended first, so that what follows can be read.
fn advance(out: &mut dyn Write, torn: bool, batch: &[u8], written: &mut usize) -> io::Result<()> {
    if torn {
        out.write_all(b"\n")?;
    }
    while let Some(rest) = batch.get(*written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn count(batch: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', batch).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.extend_from_slice(&bytes[..fits]);
            self.room -= fits;
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_broke_off_does_not_spoil_the_next() {
        let mut disk = Disk { room: 7, text: Vec::new() };
        let mut written = 0;
        assert!(advance(&mut disk, false, b"one\ntwo\n", &mut written).is_err());
        assert_eq!(written, 7);
        disk.room = 100;
        written = 0;
        advance(&mut disk, true, b"three\n", &mut written).unwrap();
        assert_eq!(disk.text, b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let metrics = super::super::metrics::Metrics::new();
        let mut writer = Writer {
            to: To::File("/dev/full".into()),
            file: None,
            torn: false,
            complained: None,
            emptied: sync_channel(SPARE).0,
            room: Room::new(QUEUE, SINK, &metrics.telemetry),
            metrics: metrics.telemetry.clone(),
        };
        writer.write(b"{}\n{}\n{}\n", 3);
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"access_log\"} 3"), "{text}");
    }
}
