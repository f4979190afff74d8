//! What the file says of telemetry.

use std::time::Duration;

use crate::provider::SecretRef;

/// One line for each model call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    pub to: Place,
    pub format: LineFormat,
    pub facts: FactDepth,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Stdout,
    Stderr,
    /// A path; relative ones are looked for in the configuration's folder.
    File(Box<str>),
}

impl Place {
    pub fn from_text(text: &str) -> Place {
        match text {
            "stdout" => Place::Stdout,
            "stderr" => Place::Stderr,
            path => Place::File(path.into()),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Place::Stdout => "stdout",
            Place::Stderr => "stderr",
            Place::File(path) => path,
        }
    }
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// For people on a terminal, JSON everywhere else.
    #[default]
    Auto,
    Json,
    Text,
}

impl LineFormat {
    pub const ALL: [LineFormat; 3] = [LineFormat::Auto, LineFormat::Json, LineFormat::Text];

    /// The word for it in the file.
    pub fn word(self) -> &'static str {
        match self {
            LineFormat::Auto => "auto",
            LineFormat::Json => "json",
            LineFormat::Text => "text",
        }
    }
}

/// Which facts of a request are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FactDepth {
    None,
    /// Those that the decision has looked at, and those that cost nothing.
    #[default]
    Known,
    /// All of them; every request is read for it.
    All,
}

impl FactDepth {
    pub const ALL: [FactDepth; 3] = [FactDepth::None, FactDepth::Known, FactDepth::All];

    /// The word for it in the file.
    pub fn word(self) -> &'static str {
        match self {
            FactDepth::None => "none",
            FactDepth::Known => "known",
            FactDepth::All => "all",
        }
    }
}

/// Export to an OpenTelemetry collector, as far as the file says anything of it; the standard variables say the rest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Otlp {
    pub endpoint: Option<Box<str>>,
    pub protocol: Option<OtlpProtocol>,
    /// Values are secrets, whatever they look like.
    pub headers: Box<[(Box<str>, SecretRef)]>,
    pub tls: OtlpTls,
    pub timeout: Option<Duration>,
    pub gzip: Option<bool>,
    pub traces: Option<bool>,
    pub metrics: Option<bool>,
    pub logs: Option<bool>,
    /// Of the traces that begin here, from 0 to 1.
    pub sample: Option<f64>,
    pub service: Option<Box<str>>,
    pub resource: Box<[(Box<str>, Box<str>)]>,
    /// Between two exports of metrics.
    pub interval: Option<Duration>,
}

/// PEM files by which a collector and the gateway know each other; relative paths are looked for in the configuration's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtlpTls {
    pub ca_file: Option<Box<str>>,
    pub cert_file: Option<Box<str>>,
    pub key_file: Option<Box<str>>,
}

impl OtlpTls {
    /// The files, by their keys.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let files = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        files.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    HttpProtobuf,
    Grpc,
}

impl OtlpProtocol {
    pub const ALL: [OtlpProtocol; 2] = [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc];

    /// As in the file and in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn word(self) -> &'static str {
        match self {
            OtlpProtocol::HttpProtobuf => "http/protobuf",
            OtlpProtocol::Grpc => "grpc",
        }
    }
}
