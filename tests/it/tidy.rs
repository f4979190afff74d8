//! The house's own rules, read from the source: who may use whom, and which crate is named where.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, each allowed to use only those before it and itself.
const LAYERS: &[&str] = &[
    "source",
    "diagnostic",
    "glob",
    "pattern",
    "wire",
    "provider",
    "rule",
    "table",
    "config",
    "import",
    "editor",
    "upstream",
    "telemetry",
    "state",
    "live",
    "proxy",
    "cli",
];

/// Modules that do no IO, have no clock and know no runtime.
const PURE: &[&str] =
    &["source", "diagnostic", "glob", "pattern", "wire", "provider", "rule", "table", "config", "import", "editor"];

/// What pure modules do not name.
const IMPURE: &[&str] =
    &["tokio::", "axum::", "reqwest::", "hyper::", "std::fs", "std::env::", "std::net::Tcp", "SystemTime", "Instant"];

/// Crates that can be replaced by changing the files named here, and no others.
const KEPT_TO: &[(&str, &[&str])] = &[
    (
        "saphyr_parser",
        &["src/config/yaml.rs", "src/config/yaml/layout.rs", "src/config/yaml/offsets.rs", "src/config/yaml/scalar.rs"],
    ),
    ("minijinja", &["src/wire/template/engine.rs"]),
    (
        "pest",
        &[
            "src/rule/parse.rs",
            "src/rule/parse/condition.rs",
            "src/rule/parse/route.rs",
            "src/rule/parse/syntax.rs",
            "src/rule/parse/words.rs",
        ],
    ),
    ("toml_edit", &["src/import/toml.rs"]),
    ("regex", &["src/pattern.rs"]),
    ("miette", &["src/diagnostic/render.rs"]),
    ("notify", &["src/live/watch.rs"]),
    ("arc_swap", &["src/live/mod.rs", "src/state/tokens/mod.rs", "src/telemetry/otlp/logs.rs", "src/upstream/pool.rs"]),
    ("sd_notify", &["src/live/status.rs"]),
    ("aws_sigv4", &["src/state/tokens/aws/sign.rs"]),
    ("hyper_util", &["src/cli/init/probe.rs", "src/upstream/connect.rs", "src/proxy/server.rs"]),
    (
        "opentelemetry",
        &["src/telemetry/otlp/export.rs", "src/telemetry/otlp/logs.rs", "src/telemetry/otlp/measures.rs"],
    ),
    ("opentelemetry_otlp", &["src/telemetry/otlp/exporters.rs"]),
    (
        "opentelemetry_sdk",
        &["src/telemetry/otlp/export.rs", "src/telemetry/otlp/exporters.rs", "src/telemetry/otlp/logs.rs"],
    ),
    ("tonic", &["src/telemetry/otlp/transport.rs"]),
    ("prometheus_client", &["src/telemetry/metrics.rs", "src/telemetry/traffic.rs"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// Path below the root and code (comments and unit tests left out) of every source file.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path.strip_prefix(root()).unwrap().display().to_string(), code.join("\n"))
    };
    files.into_iter().map(read).filter(|(path, _)| !path.ends_with("/tests.rs")).collect()
}

fn module(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

#[test]
fn a_module_uses_only_the_layers_below_it() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let Some(own) = LAYERS.iter().position(|layer| *layer == module(&path)) else { continue };
        for used in code.split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let layer = LAYERS.iter().position(|layer| *layer == used);
            if layer.is_some_and(|layer| layer > own) {
                wrong.push(format!("{path} uses crate::{used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "a lower layer uses a higher one:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")).map(|name| name.trim_end_matches(';'));
    let unknown: Vec<&str> = modules.filter(|name| !LAYERS.contains(name)).collect();
    assert!(unknown.is_empty(), "give these modules a place in LAYERS: {unknown:?}");
}

#[test]
fn pure_modules_do_no_io() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if PURE.contains(&module(&path)) {
            wrong.extend(IMPURE.iter().filter(|word| code.contains(**word)).map(|word| format!("{path} names {word}")));
        }
    }
    assert!(wrong.is_empty(), "a pure module reaches for the world:\n{}", wrong.join("\n"));
}

#[test]
fn a_replaceable_crate_is_named_where_it_may_be() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        for (name, places) in KEPT_TO {
            let named = code.match_indices(&format!("{name}::")).any(|(at, _)| !code[..at].ends_with(['_', ':']));
            if named && !places.contains(&path.as_str()) {
                wrong.push(format!("{path} names {name}, which belongs to {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_protocol_knows_no_other_protocol() {
    let protocols = ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"];
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let Some(own) = protocols.iter().find(|name| path.starts_with(&format!("src/wire/{name}/"))) else { continue };
        let others = protocols.iter().filter(|name| *name != own);
        wrong.extend(
            others.filter(|name| code.contains(&format!("{name}::"))).map(|name| format!("{path} names {name}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_on_the_request_path_asks_for_a_providers_name() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("presets/providers")).unwrap() {
        names.push(entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
    }
    assert!(names.len() > 30, "the provider files are read");
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if matches!(module(&path), "proxy" | "upstream" | "state" | "table") {
            let asks =
                |name: &&String| code.contains(&format!("== \"{name}\"")) || code.contains(&format!("\"{name}\" =>"));
            wrong.extend(names.iter().filter(asks).map(|name| format!("{path} asks for `{name}`")));
        }
    }
    assert!(wrong.is_empty(), "a provider's peculiarity is an option of its file:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_undone_in_the_source() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", concat!("FIX", "ME"), concat!("XX", "X")];
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        wrong.extend(marks.iter().filter(|mark| code.contains(**mark)).map(|mark| format!("{path}: {mark}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
