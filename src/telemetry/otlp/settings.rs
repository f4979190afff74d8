//! What is exported, where to, and how: the file first, then the standard variables of OpenTelemetry, then their defaults
//! (OpenTelemetry Specification 1.x, "SDK environment variables" and "OTLP exporter").

use std::path::Path;
use std::time::Duration;

use super::context::Sampler;
use super::tls::Tls;
use crate::config::Env;
use crate::table::telemetry::{Otlp, OtlpProtocol};

/// Everything that is settled.
#[derive(Clone, PartialEq)]
pub struct Settings {
    pub traces: Option<Signal>,
    pub metrics: Option<Signal>,
    pub logs: Option<Signal>,
    /// What describes this process, `service.name` among it.
    pub resource: Vec<(String, String)>,
    pub sampler: Sampler,
    /// Between two exports of metrics.
    pub interval: Duration,
    /// How spans wait for their export.
    pub spans: Waiting,
    /// How lines of the log wait for theirs.
    pub lines: Waiting,
}

/// What waits between two exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Most that may wait.
    pub queue: usize,
    /// Most of one export.
    pub batch: usize,
    /// Between two exports.
    pub delay: Duration,
}

/// How one signal gets to its collector. No `Debug`: headers hold keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Signal {
    pub endpoint: String,
    pub protocol: OtlpProtocol,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub gzip: bool,
    pub tls: Tls,
}

impl Settings {
    /// `headers`: those of the file, secrets resolved; `folder`: where its relative paths begin. `None`: nothing is exported, because nobody says where to or because
    /// `OTEL_SDK_DISABLED` is set.
    ///
    /// # Errors
    /// A variable or a key of the file that cannot be meant, in words for its writer.
    pub fn resolve(
        file: Option<&Otlp>,
        headers: &[(String, String)],
        env: &Env,
        folder: &Path,
    ) -> Result<Option<Settings>, String> {
        if env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let none = Otlp::default();
        let from = Source { file: file.unwrap_or(&none), asked: file.is_some(), headers, env, folder };
        let traces = from.signal("TRACES", "v1/traces", from.file.traces)?;
        let metrics = from.signal("METRICS", "v1/metrics", from.file.metrics)?;
        let logs = from.signal("LOGS", "v1/logs", from.file.logs)?;
        if traces.is_none() && metrics.is_none() && logs.is_none() {
            return Ok(None);
        }
        let millis = |name, default| Ok::<_, String>(Duration::from_millis(from.number(name, default)?));
        Ok(Some(Settings {
            traces,
            metrics,
            logs,
            resource: from.resource()?,
            sampler: from.sampler()?,
            interval: match from.file.interval {
                Some(interval) => interval,
                None => millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            }
            .max(Duration::from_millis(100)),
            spans: from.waiting("BSP", 5000)?,
            lines: from.waiting("BLRP", 1000)?,
        }))
    }
}

/// Where settings come from.
struct Source<'s> {
    file: &'s Otlp,
    /// The file has a section for it.
    asked: bool,
    headers: &'s [(String, String)],
    env: &'s Env,
    folder: &'s Path,
}

impl Source<'_> {
    fn signal(&self, name: &str, path: &str, wanted: Option<bool>) -> Result<Option<Signal>, String> {
        let own = |what: &str| self.env.get(&format!("OTEL_EXPORTER_OTLP_{name}_{what}"));
        let any = |what: &str| self.env.get(&format!("OTEL_EXPORTER_OTLP_{what}"));
        let off = self.env.get(&format!("OTEL_{name}_EXPORTER")) == Some("none");
        let somewhere = self.asked || own("ENDPOINT").or(any("ENDPOINT")).is_some();
        if !wanted.unwrap_or(!off) || !somewhere {
            return Ok(None);
        }
        let protocol = match self.file.protocol {
            Some(protocol) => protocol,
            None => own("PROTOCOL").or(any("PROTOCOL")).map_or(Ok(OtlpProtocol::HttpProtobuf), protocol)?,
        };
        let endpoint = match (&self.file.endpoint, own("ENDPOINT"), any("ENDPOINT"), protocol) {
            (Some(base), _, _, _) => below(base, path, protocol),
            // As it is, by the specification.
            (None, Some(whole), _, _) => whole.to_owned(),
            (None, None, Some(base), _) => below(base, path, protocol),
            (None, None, None, OtlpProtocol::HttpProtobuf) => below("http://localhost:4318", path, protocol),
            (None, None, None, OtlpProtocol::Grpc) => "http://localhost:4317".to_owned(),
        };
        check(&endpoint)?;
        let mut headers = Vec::new();
        for list in [any("HEADERS"), own("HEADERS")].into_iter().flatten() {
            headers.extend(pairs(list, "OTEL_EXPORTER_OTLP_HEADERS")?);
        }
        headers.extend(self.headers.iter().cloned());
        let timeout = match (self.file.timeout, own("TIMEOUT").or(any("TIMEOUT"))) {
            (Some(timeout), _) => timeout,
            (None, Some(text)) => Duration::from_millis(number("OTEL_EXPORTER_OTLP_TIMEOUT", text)?),
            (None, None) => Duration::from_secs(10),
        };
        let gzip = match (self.file.gzip, own("COMPRESSION").or(any("COMPRESSION"))) {
            (Some(gzip), _) => gzip,
            (None, None | Some("none")) => false,
            (None, Some("gzip")) => true,
            (None, Some(other)) => {
                return Err(format!("`OTEL_EXPORTER_OTLP_COMPRESSION={other}` is not known; write `gzip` or `none`"));
            }
        };
        let tls = Tls::resolve(&self.file.tls, self.folder, |what| {
            let names = [format!("OTEL_EXPORTER_OTLP_{name}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
            names.into_iter().find_map(|name| Some((self.env.get(&name)?, name)))
        })?;
        Ok(Some(Signal { endpoint, protocol, headers, timeout, gzip, tls }))
    }

    /// The batch processor of one signal, by the abbreviation in its variables; `delay` in milliseconds.
    fn waiting(&self, kind: &str, delay: u64) -> Result<Waiting, String> {
        let number = |what: &str, default| self.number(&format!("OTEL_{kind}_{what}"), default);
        let size = |number: u64, most: usize| usize::try_from(number).unwrap_or(most).clamp(1, most);
        Ok(Waiting {
            queue: size(number("MAX_QUEUE_SIZE", 2048)?, 1 << 20),
            batch: size(number("MAX_EXPORT_BATCH_SIZE", 512)?, 1 << 16),
            delay: Duration::from_millis(number("SCHEDULE_DELAY", delay)?).max(Duration::from_millis(10)),
        })
    }

    fn resource(&self) -> Result<Vec<(String, String)>, String> {
        let mut resource = vec![
            ("service.name".to_owned(), "routeplane".to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let mut set = |name: String, value: String| {
            resource.retain(|(known, _)| *known != name);
            resource.push((name, value));
        };
        if let Some(list) = self.env.get("OTEL_RESOURCE_ATTRIBUTES") {
            pairs(list, "OTEL_RESOURCE_ATTRIBUTES")?.into_iter().for_each(|(name, value)| set(name, value));
        }
        self.file.resource.iter().for_each(|(name, value)| set(name.to_string(), value.to_string()));
        let service = self.file.service.as_deref().or(self.env.get("OTEL_SERVICE_NAME"));
        service.into_iter().for_each(|name| set("service.name".to_owned(), name.to_owned()));
        Ok(resource)
    }

    fn sampler(&self) -> Result<Sampler, String> {
        if let Some(ratio) = self.file.sample {
            return Ok(Sampler { ratio, by_parent: true });
        }
        let name = self.env.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let ratio = || match self.env.get("OTEL_TRACES_SAMPLER_ARG") {
            None => Ok(1.0),
            Some(text) => text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| {
                format!("`OTEL_TRACES_SAMPLER_ARG={text}` is not a part of all traces; write a number from 0 to 1")
            }),
        };
        let (by_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio()?,
            _ => {
                return Err(format!(
                    "`OTEL_TRACES_SAMPLER={name}` is not known; write `always_on`, `always_off` or `traceidratio`, each also with `parentbased_` before it"
                ));
            }
        };
        Ok(Sampler { ratio, by_parent })
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        self.env.get(name).map_or(Ok(default), |text| number(name, text))
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("`{name}={text}` is not a whole number"))
}

fn protocol(text: &str) -> Result<OtlpProtocol, String> {
    OtlpProtocol::ALL.into_iter().find(|protocol| protocol.word() == text).ok_or_else(|| {
        format!("`OTEL_EXPORTER_OTLP_PROTOCOL={text}` is not spoken here; write `http/protobuf` or `grpc`")
    })
}

/// The address of a signal below a base: HTTP has a path for each, gRPC has none.
fn below(base: &str, path: &str, protocol: OtlpProtocol) -> String {
    match protocol {
        OtlpProtocol::HttpProtobuf => format!("{}/{path}", base.trim_end_matches('/')),
        OtlpProtocol::Grpc => base.to_owned(),
    }
}

fn check(endpoint: &str) -> Result<(), String> {
    let uri = endpoint.parse::<http::Uri>().ok();
    let good = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if good {
        Ok(())
    } else {
        Err(format!("the collector's address `{endpoint}` is not a URL; write e.g. `http://localhost:4318`"))
    }
}

/// `a=1,b=2`, values percent-encoded (W3C Baggage).
fn pairs(list: &str, variable: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &str| {
        // The value may be a key: it is not repeated.
        let wrong = || format!("`{variable}` is a list of `name=value`, separated by commas");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
        Ok((name.trim().to_owned(), value.into_owned()))
    };
    list.split(',').filter(|text| !text.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: Option<&Otlp>, env: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let env = Env::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Settings::resolve(file, &[], &env, Path::new("."))
    }

    #[test]
    fn addresses_follow_the_specification() {
        let traces = |env: &[(&str, &str)]| resolve(None, env).unwrap().unwrap().traces.unwrap().endpoint;
        let any = "OTEL_EXPORTER_OTLP_ENDPOINT";
        assert_eq!(traces(&[(any, "http://c:4318")]), "http://c:4318/v1/traces");
        assert_eq!(traces(&[(any, "http://c:4318/base/")]), "http://c:4318/base/v1/traces");
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        assert_eq!(traces(&[(any, "http://c:4318"), (own, "http://d:1/own")]), "http://d:1/own");
        assert_eq!(traces(&[(any, "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), "http://c:4317");
        let file = Otlp { endpoint: Some("http://f:1".into()), ..Otlp::default() };
        let settings = resolve(Some(&file), &[(any, "http://c:4318")]).unwrap().unwrap();
        assert_eq!(settings.metrics.unwrap().endpoint, "http://f:1/v1/metrics");
    }

    #[test]
    fn nothing_is_exported_unasked() {
        assert!(resolve(None, &[]).unwrap().is_none());
        assert!(resolve(Some(&Otlp::default()), &[("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
        let only = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/x")];
        let settings = resolve(None, &only).unwrap().unwrap();
        assert!(settings.traces.is_some() && settings.metrics.is_none());
        let env = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
        let settings = resolve(Some(&Otlp::default()), &env).unwrap().unwrap();
        assert!(settings.traces.is_none() && settings.logs.is_none());
        assert_eq!(settings.metrics.unwrap().endpoint, "http://localhost:4318/v1/metrics");
    }

    #[test]
    fn variables_say_the_rest() {
        let settings = resolve(
            Some(&Otlp::default()),
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
                ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
                ("OTEL_SERVICE_NAME", "gw"),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.name=other"),
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
            ],
        );
        let settings = settings.unwrap().unwrap();
        let traces = settings.traces.unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(traces.headers, [pair("api-key", "a b"), pair("x", "1")]);
        assert!(traces.gzip && !settings.metrics.unwrap().gzip);
        assert_eq!(
            (traces.timeout, settings.interval, settings.spans.queue),
            (Duration::from_millis(1500), Duration::from_secs(1), 7)
        );
        assert_eq!(settings.lines, Waiting { queue: 2048, batch: 512, delay: Duration::from_millis(20) });
        assert!(settings.resource.contains(&pair("service.name", "gw")));
        assert!(settings.resource.contains(&pair("deployment.environment.name", "prod")));
        assert_eq!(settings.sampler, Sampler { ratio: 0.5, by_parent: false });
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_secrets() {
        let file = Otlp::default();
        for (name, value, said) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/json"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "not a URL"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret-key", "a list of"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "`gzip` or `none`"),
            ("OTEL_TRACES_SAMPLER", "sometimes", "always_on"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "no/such.pem", "cannot be read"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "Cargo.toml", "holds no certificate"),
        ] {
            let problem = resolve(Some(&file), &[(name, value)]).err().unwrap_or_default();
            assert!(problem.contains(said) && !problem.contains("secret-key"), "{name}: {problem}");
        }
    }
}
