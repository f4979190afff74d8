//! Routeplane beside nginx, on loopback, in front of the same upstream: `cargo bench --bench gateway`.
//!
//! Blocks alternate (nginx, Routeplane, Routeplane, nginx) within one run, because absolute numbers of a shared machine
//! mean little and ratios within the same minutes mean much. CPU time is that of the gateway's processes alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod load;
mod memory;
mod mock;
mod process;
mod reloads;
mod report;
mod scenario;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use load::Block;
use report::Row;
use scenario::Scenario;
use servers::{Mock, Nginx, Routeplane, Side};

/// Connections of the load client, each with one request at a time.
const CONNECTIONS: usize = 16;
/// How often each connection asks in a row that is `paced`: 8,000 requests in a second, where both sides can.
const PACE: Duration = Duration::from_millis(2);

const USAGE: &str = "\
usage: cargo bench --bench gateway -- [--quick] [--only TEXT] [--memory] [--telemetry] [--reloads N] [--binary PATH]

  --quick        short blocks: shows that everything runs; its numbers are rough
  --only TEXT    only scenarios whose name contains TEXT, and no memory
  --memory       only memory
  --telemetry    only what telemetry takes, all of it on against none; without nginx
  --reloads N    also the memory after N reloads
  --binary PATH  this one in place of the one that was built for the bench";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    only: Option<String>,
    memory_only: bool,
    telemetry: bool,
    reloads: Option<usize>,
    binary: Option<PathBuf>,
}

impl Options {
    /// `None` where this process is to be the mock upstream.
    fn parse() -> Option<Options> {
        let mut options = Options::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--mock" => return None,
                // What cargo itself passes.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--memory" => options.memory_only = true,
                "--telemetry" => options.telemetry = true,
                "--only" => options.only = Some(words.next().expect(USAGE)),
                "--reloads" => options.reloads = Some(words.next().and_then(|count| count.parse().ok()).expect(USAGE)),
                "--binary" => options.binary = Some(words.next().expect(USAGE).into()),
                _ => {
                    eprintln!("{USAGE}");
                    std::process::exit(2);
                }
            }
        }
        Some(options)
    }

    /// How long one block lasts, and how many rounds of four blocks there are.
    fn plan(&self) -> (Duration, usize) {
        if self.quick { (Duration::from_millis(300), 1) } else { (Duration::from_secs(2), 5) }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match Options::parse() {
        None => runtime.block_on(mock::run()),
        Some(options) => runtime.block_on(run(&options)),
    }
}

async fn run(options: &Options) {
    process::raise_file_limit();
    let mock = Mock::start();
    if let Some(binary) = &options.binary {
        servers::measure_this(binary.clone());
    }
    if options.telemetry {
        return telemetry(&mock, options).await;
    }
    let routeplane = Routeplane::start(&mock).await;
    if options.only.is_none() {
        memory::report(&mock, options).await;
    }
    if options.memory_only {
        return;
    }
    let chosen = |name: &str| options.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    if chosen(reloads::STORM) {
        reloads::storm(&mock, options).await;
    }
    let scenarios: Vec<Scenario> = scenario::all().into_iter().filter(|scenario| chosen(&scenario.name)).collect();
    if scenarios.is_empty() {
        return;
    }
    let nginx = Nginx::start(&mock).await;
    let sides = [nginx.side(), routeplane.side("routeplane")];
    let mut rows = Vec::new();
    for scenario in &scenarios {
        rows.push(measure(scenario, &sides, None, options).await);
    }
    report::print(&rows, ["nginx", "Routeplane"]);
}

/// What telemetry takes, all of it on against none: traces, metrics and logs to a collector, and an access log.
async fn telemetry(mock: &Mock, options: &Options) {
    let (off, on) = (Routeplane::start_silent(mock).await, Routeplane::start_telling(mock).await);
    let sides = [off.side("silent"), on.side("telling")];
    let mut rows = Vec::new();
    let chosen = |name: &str| options.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let all = scenario::all().into_iter().filter(|scenario| !scenario.name.contains("ms apart"));
    for mut scenario in all.filter(|scenario| chosen(&scenario.name)) {
        // As fast as it goes, the side that is slower finds its peers asleep more often, and pays for waking them.
        rows.push(measure(&scenario, &sides, None, options).await);
        scenario.name.push_str(", paced");
        rows.push(measure(&scenario, &sides, Some(PACE), options).await);
    }
    report::print(&rows, ["telemetry off", "all of it on"]);
    // What is lost costs less than what arrives.
    on.lost().await.iter().for_each(|line| println!("{line}"));
}

/// Alternating blocks of one scenario.
async fn measure(scenario: &Scenario, sides: &[Side; 2], every: Option<Duration>, options: &Options) -> Row {
    let (length, rounds) = options.plan();
    let mut row = Row::new(&scenario.name);
    for side in sides {
        load::block((side.address, &side.processes), scenario, every, length / 4).await;
    }
    for _ in 0..rounds {
        for at in [0, 1, 1, 0] {
            let side = &sides[at];
            let block: Block = load::block((side.address, &side.processes), scenario, every, length).await;
            println!("{:<32} {:<10} {block}", scenario.name, side.name);
            row.blocks[at].push(block);
        }
    }
    row
}
