//! The documentation: its configuration files compile, its links lead somewhere, its commands exist, its metrics are those
//! of the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use routeplane::config::{self, Env, Files, Inputs};
use routeplane::diagnostic::render::{Style, render};
use routeplane::telemetry::catalogue::{self, Described};

use crate::sandbox::Sandbox;

/// A page, by its path from the root of the repository.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the root and of `docs/`.
fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(Page { text: std::fs::read_to_string(root().join(&path)).unwrap(), path });
            }
        }
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(pages.len() > 5, "found {} pages", pages.len());
    pages
}

/// A fenced block of a page.
struct Block<'t> {
    /// What stands behind the opening fence.
    info: &'t str,
    /// Number of its first line in the page.
    line: usize,
    text: String,
}

fn blocks(page: &Page) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (line, number) in page.text.lines().zip(1..) {
        match (line.strip_prefix("```"), open) {
            (Some(info), false) => {
                blocks.push(Block { info: info.trim(), line: number + 1, text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "{}: a fence is not closed", page.path.display());
    blocks
}

/// Any file that an example names is there, with a short text in it.
struct AnyFile;

impl Files for AnyFile {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok("Be brief.".to_owned())
    }
}

/// Blocks marked `yaml` alone are whole files; `yaml fragment`, `yaml wrong` and `yaml workflow` are not.
#[test]
fn every_configuration_file_in_the_pages_compiles_without_an_error() {
    let env = Env::default();
    let mut compiled = 0;
    let mut wrong = String::new();
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.info == "yaml") {
            let name = format!("{}:{}", page.path.display(), block.line);
            let inputs = Inputs { file: Some((&name, &block.text)), env: &env, files: &AnyFile, listen: None };
            let compilation = config::compile(inputs);
            compiled += 1;
            if compilation.table.is_none() {
                wrong.push_str(&render(&compilation.diagnostics, &compilation.sources, Style::Plain));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compiled > 10, "only {compiled} files were found");
}

/// Targets of `[text](target)` outside of fences.
fn links(page: &Page) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in page.text.lines() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            links.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    links
}

/// As GitHub makes it: lower case, words joined by hyphens, everything else left out.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<&Path, Vec<String>> = pages
        .iter()
        .map(|page| {
            let headings = page.text.lines().filter(|line| line.starts_with('#'));
            (page.path.as_path(), headings.map(|line| anchor(line.trim_start_matches('#'))).collect())
        })
        .collect();
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in &pages {
        for link in links(page).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            seen += 1;
            let (file, section) = link.split_once('#').map_or((link.as_str(), None), |(file, at)| (file, Some(at)));
            let path = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let known = |section: &str| anchors.get(path.as_path()).is_some_and(|all| all.iter().any(|a| a == section));
            if !root().join(&path).exists() || section.is_some_and(|section| !known(section)) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 20, "only {seen} links were found");
}

/// What follows `routeplane ` where a command is printed: lines of fences, with or without a prompt, and inline code.
fn commands(page: &Page) -> Vec<String> {
    let mut commands = Vec::new();
    let mut fence = None;
    for line in page.text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(info.trim()) };
            continue;
        }
        match fence {
            Some("" | "sh" | "console") => {
                let command = line.trim_start().trim_start_matches("$ ");
                commands.extend(command.strip_prefix("routeplane ").map(str::to_owned));
            }
            Some(_) => {}
            None => {
                let code = line.split('`').skip(1).step_by(2);
                commands.extend(code.filter_map(|code| code.strip_prefix("routeplane ")).map(str::to_owned));
            }
        }
    }
    commands
}

#[test]
fn every_command_in_the_pages_exists_with_its_flags() {
    let sandbox = Sandbox::new();
    let mut help: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for command in commands(&page) {
            seen += 1;
            let mut words = command.split(" #").next().unwrap_or_default().split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let text = help.entry(name.clone()).or_insert_with(|| {
                let ended = sandbox.run(&[&name, "--help"]);
                (ended.code == 0).then_some(ended.stdout)
            });
            let Some(text) = text else {
                wrong.push(format!("{}: `routeplane {command}`: no command `{name}`", page.path.display()));
                continue;
            };
            for flag in words.filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                if !text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == flag) {
                    wrong.push(format!("{}: `routeplane {command}`: no flag `{flag}`", page.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 20, "only {seen} commands were found");
}

/// The metrics' page, from their catalogue.
fn metrics_page() -> String {
    let mut page = String::from(
        "# Metrics\n\n<!-- Generated from src/telemetry/ by tests/it/docs.rs; `ROUTEPLANE_UPDATE=1 cargo test --test it docs::` \
         writes it anew. -->\n\n`GET /metrics` answers in OpenMetrics to those who ask for it, as Prometheus does, and in the text format of \
         Prometheus to others:\nto callers on this machine, and to holders of a client key elsewhere. Counts begin at 0 with each start.\n\n| metric | type | unit | labels | meaning |\n\
         |---|---|---|---|---|\n",
    );
    for metric in catalogue::all() {
        let Described { name, kind, unit, labels, about } = metric;
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{name}` | {kind} | {unit} | {} | {about} |", labels.join(", ")).unwrap();
    }
    page.push_str(
        "\nThe labels: `protocol` is the caller's; `status` is a class (`2xx`); `outcome` is `ok` or the cause of a failed \
         try, of hedges\nwho answered (`first`, `second`) or `failed`, of mirrors what the comparison says (`same`, `differs`, \
         `failed`, `main_failed`,\n`dropped`); `kind` is `input`, `output`, or a part of them: `cached` and `cache_write` of the \
         input, `reasoning` of the output;\n`result` is `ack`, `nack`, `noop` or `coalesced`; `mode` is `events`, `poll` or `off`; \
         `sink` is where telemetry goes; `model` is that\nof a target that failed again and again, of a hedge's second target, or \
         of a mirror.\n",
    );
    page
}

#[test]
fn the_page_of_metrics_is_the_one_that_is_committed() {
    let (made, file) = (metrics_page(), root().join("docs/metrics.md"));
    assert!(made.matches("| `routeplane_").count() > 10, "{made}");
    if std::env::var_os("ROUTEPLANE_UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == made,
        "docs/metrics.md is old: ROUTEPLANE_UPDATE=1 cargo test --test it docs:: writes it anew"
    );
}
