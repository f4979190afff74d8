//! `/feedback`: what is said of an answer afterwards. It is checked against the metrics of the file and the inferences of late,
//! goes to the log and telemetry as an event in the trace of the inference's request, and as a line of JSON to the file that the
//! section names. Nothing else keeps it. What people wrote (comments, demonstrations) goes to the file alone.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::live::Live;
use crate::proxy::Gateway;
use crate::state::inferences::Known;
use crate::table::tensorzero::{MetricKind, MetricLevel, Surface};
use crate::wire::ir::{Error, ErrorKind};

const MEMBERS: [&str; 7] = ["metric_name", "value", "episode_id", "inference_id", "tags", "dryrun", "internal"];

/// What is said, and of what.
struct Feedback {
    metric: String,
    value: Value,
    target: Target,
    tags: Map<String, Value>,
    dryrun: bool,
}

enum Target {
    Inference(Uuid),
    Episode(Uuid),
}

impl Target {
    fn level(&self) -> MetricLevel {
        match self {
            Target::Inference(_) => MetricLevel::Inference,
            Target::Episode(_) => MetricLevel::Episode,
        }
    }

    fn id(&self) -> Uuid {
        match self {
            Target::Inference(id) | Target::Episode(id) => *id,
        }
    }
}

/// Takes feedback, and answers with its id.
///
/// # Errors
/// Feedback that fits no metric, or of something that is not known.
pub(super) async fn answer(gateway: &Gateway, live: &Live, surface: &Surface, body: &[u8]) -> Result<Value, Error> {
    let feedback = read(body)?;
    check(&feedback, surface)?;
    let known = find(gateway, &feedback.target)?;
    let id = Uuid::now_v7();
    if !feedback.dryrun {
        tell(&feedback, &known);
        if let Some(path) = &live.runtime.feedback {
            append(path, line(id, &feedback, &known)).await?;
        }
    }
    Ok(json!({ "feedback_id": id.to_string() }))
}

/// The event of the semantic conventions for an evaluation (`gen_ai.evaluation.result`), in the log and, where it is exported, at
/// the span of the request.
fn tell(feedback: &Feedback, known: &Known) {
    let place = known.place.map(|(trace, span)| (format!("{trace:032x}"), format!("{span:016x}")));
    let (trace, span) = place.as_ref().map(|(trace, span)| (trace.as_str(), span.as_str())).unzip();
    let level = feedback.target.level().word();
    tracing::info!(
        name: "gen_ai.evaluation.result",
        {
            gen_ai.evaluation.name = feedback.metric,
            gen_ai.evaluation.score.value = score(&feedback.value),
            gen_ai.evaluation.score.label = feedback.value.as_bool().map(|flag| if flag { "true" } else { "false" }),
            routeplane.request_id = &*known.request_id,
            routeplane.function = &*known.function,
            routeplane.variant = &*known.variant,
            routeplane.feedback.of = level,
            routeplane.feedback.id = %feedback.target.id(),
            trace_id = trace,
            span_id = span
        },
        "feedback"
    );
}

/// The number of a metric; of a text there is none.
fn score(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|flag| if flag { 1.0 } else { 0.0 }))
}

fn read(body: &[u8]) -> Result<Feedback, Error> {
    let wrong = |error: serde_json::Error| Error::invalid(format!("the body is not JSON: {error}"));
    let Value::Object(mut members) = serde_json::from_slice(body).map_err(wrong)? else {
        return Err(Error::invalid("the body must be a JSON object"));
    };
    if let Some(key) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        let message = format!("unknown member `{key}`; the ones known here are {}", MEMBERS.join(", "));
        return Err(Error::invalid(message));
    }
    members.retain(|_, value| !value.is_null());
    let id = |members: &Map<String, Value>, key: &str| match members.get(key) {
        None => Ok(None),
        Some(id) => {
            let id = id.as_str().and_then(|text| Uuid::parse_str(text).ok());
            id.map(Some).ok_or_else(|| Error::invalid(format!("`{key}` is not a UUID")).with_param(key))
        }
    };
    let target = match (id(&members, "inference_id")?, id(&members, "episode_id")?) {
        (Some(inference), None) => Target::Inference(inference),
        (None, Some(episode)) => Target::Episode(episode),
        _ => return Err(Error::invalid("exactly one of `inference_id` and `episode_id` must be given")),
    };
    let metric = members.get("metric_name").and_then(Value::as_str);
    let metric = metric.ok_or_else(|| Error::invalid("`metric_name` must be a string"))?.to_owned();
    let value = members.get("value").cloned().ok_or_else(|| Error::invalid("`value` is missing"))?;
    let tags = match members.get("tags") {
        None => Map::new(),
        Some(Value::Object(tags)) if tags.values().all(Value::is_string) => tags.clone(),
        Some(_) => return Err(Error::invalid("`tags` must be an object of strings")),
    };
    if let Some(tag) = tags.keys().find(|tag| tag.starts_with("tensorzero::")) {
        return Err(Error::invalid(format!("the tag `{tag}` begins with `tensorzero::`, which is not for callers")));
    }
    let dryrun = members.get("dryrun").and_then(Value::as_bool).unwrap_or_default();
    Ok(Feedback { metric, value, target, tags, dryrun })
}

fn check(feedback: &Feedback, surface: &Surface) -> Result<(), Error> {
    let Feedback { metric: name, value, target, .. } = feedback;
    match name.as_str() {
        "comment" if value.is_string() => return Ok(()),
        "comment" => return Err(Error::invalid("the value of a comment is a text")),
        "demonstration" => {
            return match target {
                Target::Inference(_) => Ok(()),
                Target::Episode(_) => Err(Error::invalid("a demonstration is of an inference, not of an episode")),
            };
        }
        _ => {}
    }
    let metric = surface.metrics.get(name.as_str());
    let metric = metric.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("unknown metric `{name}`")))?;
    if metric.level != target.level() {
        let message = format!("the metric `{name}` is of an {}, give `{0}_id`", metric.level.word());
        return Err(Error::invalid(message));
    }
    let fits = match metric.kind {
        MetricKind::Boolean => value.is_boolean(),
        MetricKind::Float => value.is_number(),
    };
    if fits { Ok(()) } else { Err(Error::invalid(format!("the value of `{name}` must be a {}", metric.kind.word()))) }
}

fn find(gateway: &Gateway, target: &Target) -> Result<Known, Error> {
    let known = match target {
        Target::Inference(id) => gateway.inferences.inference(*id),
        Target::Episode(id) => gateway.inferences.episode(*id),
    };
    known.ok_or_else(|| {
        let (level, id) = (target.level().word(), target.id());
        Error::invalid(format!("the {level} `{id}` is not known here; only those of late are, and of this process"))
    })
}

fn line(id: Uuid, feedback: &Feedback, known: &Known) -> String {
    let target = match feedback.target {
        Target::Inference(id) => ("inference_id", id),
        Target::Episode(id) => ("episode_id", id),
    };
    let mut line = json!({
        "feedback_id": id.to_string(),
        "time": crate::proxy::now(),
        "metric_name": feedback.metric,
        "value": feedback.value,
        target.0: target.1.to_string(),
        "request_id": known.request_id,
        "function_name": known.function,
        "variant_name": known.variant,
        "tags": feedback.tags,
    })
    .to_string();
    line.push('\n');
    line
}

/// One write for one line: the system appends it whole.
async fn append(path: &Path, line: String) -> Result<(), Error> {
    let path: PathBuf = path.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(line.as_bytes())
    });
    let written = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    written.map_err(|error| {
        tracing::error!(%error, "feedback cannot be written to its file");
        Error::new(ErrorKind::Internal, format!("the feedback cannot be written to its file: {error}"))
    })
}
