//! Logs, to stderr, and to a collector where there is one.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::otlp;

/// What is logged unless `ROUTEPLANE_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "warn,routeplane=info";

/// The name of events that say several things in a text of several lines, for people: [`LogFormat::Text`] and collectors. To those
/// it is no name, as it begins like the names that `tracing` makes.
pub const FOR_PEOPLE: &str = "event for people";
/// The name of events that say the same one by one and in fields: [`LogFormat::Json`].
pub const FOR_PROGRAMS: &str = "event for programs";

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging with the filter of `ROUTEPLANE_LOG`.
///
/// # Errors
/// What is wrong with the filter.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let text = filter.unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(text).map_err(|error| format!("`ROUTEPLANE_LOG={text}` is no filter: {error}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(without(FOR_PROGRAMS)).boxed(),
        LogFormat::Json => lines.json().with_filter(without(FOR_PEOPLE)).boxed(),
    };
    let export = otlp::Export.with_filter(without(FOR_PROGRAMS));
    let logs = tracing_subscriber::registry().with(filter).with(lines).with(export);
    logs.try_init().map_err(|error| error.to_string())
}

/// Every event but those of this name.
fn without(name: &'static str) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(move |event| event.name() != name)
}

impl LogFormat {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}
