//! `routeplane fmt`: one form for every file, that means what it meant.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use routeplane::config::{self, Env, Files, Inputs, format};
use routeplane::diagnostic::Diagnostics;
use routeplane::source::SourceMap;

use crate::sandbox::Sandbox;

fn format(text: &str) -> Option<String> {
    let mut sources = SourceMap::default();
    let source = sources.add("routeplane.yaml", text);
    format::format(source, &sources, &mut Diagnostics::default())
}

struct AnyFile;

impl Files for AnyFile {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok("Be brief.".to_owned())
    }
}

/// What a text compiles to: the id of its table, or the codes of its findings.
fn meaning(text: &str) -> (Option<String>, Vec<String>) {
    let env = Env::default();
    let inputs = Inputs { file: Some(("routeplane.yaml", text)), env: &env, files: &AnyFile, listen: None };
    let compilation = config::compile(inputs);
    let mut codes: Vec<String> = compilation.diagnostics.iter().map(|found| found.code.to_string()).collect();
    codes.sort();
    (compilation.table.map(|table| table.id.to_string()), codes)
}

/// Every file of the folder below the repository.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The YAML blocks of the pages.
fn blocks() -> Vec<(PathBuf, String)> {
    let mut blocks = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for block in text.split("```yaml\n").skip(1) {
                blocks.push((path.clone(), block.split("```").next().unwrap().to_owned()));
            }
        }
    }
    blocks
}

fn words_of_comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("# ")).map(|(_, comment)| comment.trim_end()).collect()
}

#[test]
fn every_file_keeps_its_meaning_and_is_formatted_once() {
    let mut formatted_files = 0;
    for (path, text) in files("tests/config").into_iter().chain(files("presets/providers")).chain(blocks()) {
        let Some(formatted) = format(&text) else { continue };
        formatted_files += 1;
        let shown = path.display();
        assert_eq!(meaning(&formatted), meaning(&text), "{shown}\n{formatted}");
        assert_eq!(format(&formatted).as_deref(), Some(formatted.as_str()), "{shown} twice");
        assert_eq!(words_of_comments(&formatted), words_of_comments(&text), "{shown}");
    }
    assert!(formatted_files > 100, "{formatted_files}");
}

const WIDER: &str = "wider indentation";

/// A way of writing a file otherwise without saying anything else, and its name.
type Mangle = (&'static str, fn(&str) -> String);

const MANGLES: &[Mangle] = &[
    (WIDER, wider),
    ("white space at the ends of lines", |text| {
        text.lines().map(|line| format!("{line}{}\n", if line.trim().is_empty() { "" } else { "  " })).collect()
    }),
    ("empty lines", |text| text.replace("\n\n", "\n\n\n\n") + "\n\n"),
    ("no line break at the end", |text| text.trim_end().to_owned()),
];

/// Twice the indentation, also behind dashes.
fn wider(text: &str) -> String {
    let line = |line: &str| {
        let content = line.trim_start();
        let content = content.strip_prefix("- ").map_or(content.to_owned(), |rest| format!("-   {rest}"));
        format!("{}{content}\n", " ".repeat(2 * indent(line)))
    };
    text.lines().map(line).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Lines whose white space is a part of a text.
fn has_texts_of_lines(text: &str) -> bool {
    text.contains("|+")
        || text.contains("system: |")
        || text.contains(": >")
        || text.contains("|2")
        || text.contains('\r')
}

/// Comments behind values may stand in a column, which they keep.
fn has_columns(text: &str) -> bool {
    text.lines().any(|line| line.split_once(" #").is_some_and(|(before, _)| !before.trim().is_empty()))
}

#[test]
fn layout_makes_no_difference() {
    let mut compared = 0;
    for (path, text) in files("tests/config").into_iter().chain(blocks()) {
        let Some(formatted) = format(&text) else { continue };
        if has_texts_of_lines(&text) {
            continue;
        }
        for (how, mangle) in MANGLES.iter().filter(|(how, _)| *how != WIDER || !has_columns(&text)) {
            let mangled = mangle(&text);
            assert_eq!(
                format(&mangled).as_deref(),
                Some(formatted.as_str()),
                "{} with {how}:\n{mangled}",
                path.display()
            );
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

const MESSY: &str = "\
# of the file
version:   1
providers:                       # known ones
     openai: {}                     # a key
     gpu-box: {protocol: openai-chat,base_url: 'http://10.0.0.7:8000/v1' , models: [ qwen3-32b,  llama ],}


     # nothing here
     anthropic:
         keys:
         - env:ANTHROPIC_API_KEY
         -   env:ANTHROPIC_API_KEY_2
presets:
    default :   anthropic/claude-sonnet-4-6>openai/gpt-5
    cheap:      'split( 95 openai/gpt-5-mini,5 gpu-box/qwen3-32b )>@default'
    support:    { route: [ openai/gpt-5 , '@default' ], params: {temperature: 0.2,
         max_tokens: 800 } }
    long:
        route: \"@default\"
        system:   |
            Be brief.

              Indented.
        # trailing
rules: |    # first match wins
      when model=='auto'and input_tokens>150k->@long
      when has tools and
            last_tool in ['read_file','grep']
         -> @cheap   # cheap enough
      # the rest
      otherwise   -> as requested # done



tests:
-   name: a   text
    request: {model: auto}
    expect:   { rule: 1 }
";

const NEAT: &str = "\
# of the file
version: 1
providers:                       # known ones
  openai: {}                        # a key
  gpu-box: { protocol: openai-chat, base_url: 'http://10.0.0.7:8000/v1', models: [qwen3-32b, llama] }

  # nothing here
  anthropic:
    keys:
      - env:ANTHROPIC_API_KEY
      - env:ANTHROPIC_API_KEY_2
presets:
  default: anthropic/claude-sonnet-4-6 > openai/gpt-5
  cheap:   \"split(95 openai/gpt-5-mini, 5 gpu-box/qwen3-32b) > @default\"
  support: { route: [openai/gpt-5, \"@default\"], params: { temperature: 0.2,
      max_tokens: 800 } }
  long:
    route: \"@default\"
    system: |
      Be brief.

        Indented.
    # trailing
rules: |  # first match wins
  when model == \"auto\" and input_tokens > 150k -> @long
  when has tools and
    last_tool in [\"read_file\", \"grep\"]
    -> @cheap  # cheap enough
  # the rest
  otherwise                                    -> as requested  # done

tests:
  - name: a   text
    request: { model: auto }
    expect: { rule: 1 }
";

#[test]
fn a_messy_file_becomes_neat() {
    assert_eq!(format(MESSY).unwrap(), NEAT);
    assert_eq!(format(NEAT).unwrap(), NEAT);
    let crlf = MESSY.replace('\n', "\r\n");
    assert_eq!(format(&crlf).unwrap(), NEAT.replace('\n', "\r\n"));
    assert_eq!(format(&format!("\u{feff}{MESSY}")).unwrap(), format!("\u{feff}{NEAT}"));
}

#[test]
fn forms_of_yaml_that_are_rare_are_safe() {
    for (written, expected) in [
        ("", ""),
        ("\n\n# only a comment", "# only a comment\n"),
        ("---\nversion: 1\n...\n", "---\nversion: 1\n...\n"),
        ("{ version: 1 }", "{ version: 1 }\n"),
        ("{version: 1,\n presets: {a: x/y}}", "{ version: 1,\n  presets: { a: x/y } }\n"),
        (
            "timeout: &t {total: 3s}\npresets: {a: {route: x/y,timeout: *t}}\n",
            "timeout: &t { total: 3s }\npresets: { a: { route: x/y, timeout: *t } }\n",
        ),
        (
            "timeout:   &t\n    total: 3s\npresets:\n    a:\n        route: x/y\n        timeout:   *t\n",
            "timeout: &t\n  total: 3s\npresets:\n  a:\n    route: x/y\n    timeout: *t\n",
        ),
        ("presets:\n  'é':   x/y   # 日本\n  bcd:   x/y  # z\n", "presets:\n  'é': x/y     # 日本\n  bcd: x/y  # z\n"),
        ("presets:\n    a:\n        x/y\n        > @b\n", "presets:\n  a:\n    x/y\n    > @b\n"),
        ("presets:\n    a: \"x/y\n          > @b\"\n", "presets:\n  a: \"x/y\n    > @b\"\n"),
        ("presets:\n    a: { system: |\n", "presets:\n    a: { system: |\n"),
        ("rules: 'otherwise->@a'\n", "rules: \"otherwise -> @a\"\n"),
        ("rules: otherwise -> deny 403 'no'\n", "rules: otherwise -> deny 403 'no'\n"),
        ("rules: |2\n    when stream->@a\n  otherwise->@b", "rules: |\n  when stream -> @a\n  otherwise   -> @b\n"),
        (
            "presets:\n  a:\n    route: x/y\n    system: |+\n     one\n\n\n",
            "presets:\n  a:\n    route: x/y\n    system: |+\n      one\n\n\n",
        ),
        (
            "presets:\n  a:\n    route: x/y\n    system: >-\n     one\n       two  \n     three\n\n\n",
            "presets:\n  a:\n    route: x/y\n    system: >-\n      one\n        two  \n      three\n",
        ),
        ("providers: {openai: , anthropic: {  }}\n", "providers: { openai:, anthropic: {} }\n"),
    ] {
        match format(written) {
            None => assert_eq!(written, expected, "{written:?} is read"),
            Some(formatted) => assert_eq!(formatted, expected, "from {written:?}"),
        }
    }
}

#[test]
fn what_cannot_be_read_stays_as_it_is() {
    for text in ["a: [", "a: 1\na: 2\n", "rules: when\n", "presets: { a: \"x/y >\" }\n", "t: { <<: *a }", "a: !!str b"]
    {
        assert_eq!(format(text), None, "{text:?}");
    }
    // What is read and makes no sense is formatted.
    assert_eq!(format("presets: {a: '@nowhere'}\nunknown:   1").unwrap(), "presets: { a: \"@nowhere\" }\nunknown: 1\n");
}

/// Files with random parts, indented and spaced at random.
fn any_file() -> impl Strategy<Value = String> {
    let route = prop_oneof![
        Just("x/y".to_owned()),
        Just("x/y>x/z".to_owned()),
        Just("\"@a > x/y\"".to_owned()),
        Just("'split( 9 x/y,1 @a )'".to_owned()),
        Just("[ x/y,'@a' ]".to_owned()),
        Just("{route: x/y  ,timeout: 3s}".to_owned()),
        Just("\n      # inside\n      route:    x/y\n      params: {temperature: 1}".to_owned()),
        Just("\n     - x/y\n     -   \"@a\"".to_owned()),
    ];
    let condition = prop_oneof![
        Just("model=='a'".to_owned()),
        Just("stream".to_owned()),
        Just("( has tools or images>0 )".to_owned()),
        Just("header('é') in['x','日']".to_owned()),
        Just("not   user is absent".to_owned()),
        Just("input_tokens>=150k and not(hour<3)".to_owned()),
    ];
    let comment = prop_oneof![Just(String::new()), Just("  # why".to_owned()), Just(" # 日本 \"'".to_owned())];
    let gap = prop_oneof![Just("\n".to_owned()), Just("\n\n\n".to_owned()), Just("\n    # note\n".to_owned())];
    let preset = (route, comment.clone(), gap.clone());
    let rule = (proptest::collection::vec(condition, 1..4), 0..3usize, comment, gap);
    (proptest::collection::vec(preset, 0..5), proptest::collection::vec(rule, 0..6), 1..6usize).prop_map(
        |(presets, rules, width)| {
            let mut text = String::from("version: 1\npresets:\n   a: x/y\n");
            for (at, (route, comment, gap)) in presets.into_iter().enumerate() {
                let padding = " ".repeat(1 + at % 3);
                text.push_str(&format!("   p{at}:{padding}{route}{comment}{gap}"));
            }
            text.push_str("rules: |\n");
            let margin = " ".repeat(width);
            for (conditions, broken, comment, gap) in rules {
                let joint = match broken {
                    0 => " and ".to_owned(),
                    1 => format!("  or{comment}\n{margin}   "),
                    _ => format!("\n{margin} and "),
                };
                text.push_str(&format!("{margin}when {}->@a{comment}{gap}", conditions.join(&joint)));
            }
            text.push_str(&format!("{margin}otherwise   ->as  requested\n"));
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_files_keep_their_meaning_and_are_formatted_once(text in any_file()) {
        let formatted = format(&text);
        prop_assert!(formatted.is_some() || !meaning(&text).1.is_empty(), "{}", text);
        if let Some(formatted) = formatted {
            prop_assert_eq!(meaning(&formatted), meaning(&text), "{}\n{}", text, formatted);
            prop_assert_eq!(format(&formatted).unwrap(), formatted.clone(), "{}", text);
            prop_assert_eq!(words_of_comments(&formatted).len(), words_of_comments(&text).len(), "{}\n{}", text, formatted);
            prop_assert!(!formatted.contains("  \n") && !formatted.contains("\n\n\n"), "{}", formatted);
        }
    }

    #[test]
    fn any_text_is_formatted_without_panic(text in "[ \\n:,\\[\\]{}#&*|>'\"%@`?a-c-]{0,60}") {
        if let Some(formatted) = format(&text) {
            prop_assert_eq!(format(&formatted).unwrap(), formatted);
        }
    }
}

#[test]
fn the_command_replaces_checks_and_prints() {
    let sandbox = Sandbox::with(MESSY);
    let left = sandbox.run(&["fmt", "--check"]).expect(3);
    assert!(left.stdout.starts_with("routeplane.yaml: not formatted"), "{left:?}");
    assert_eq!(sandbox.run(&["fmt", "--stdout", "routeplane.yaml"]).expect(0).stdout, NEAT);
    assert_eq!(std::fs::read_to_string(sandbox.path("routeplane.yaml")).unwrap(), MESSY);
    // A link stays one, and so do the rights of the file.
    sandbox.shell("mv routeplane.yaml real.yaml; chmod 640 real.yaml; ln -s real.yaml routeplane.yaml");
    assert_eq!(sandbox.run(&["fmt"]).expect(0).stdout, "routeplane.yaml: formatted\n");
    assert_eq!(std::fs::read_to_string(sandbox.path("real.yaml")).unwrap(), NEAT);
    sandbox.shell("test -L routeplane.yaml; test \"$(stat -c %a real.yaml)\" = 640; test -z \"$(ls -A | grep new)\"");
    assert_eq!(sandbox.run(&["fmt"]).expect(0).stdout, "");
    sandbox.run(&["fmt", "--check"]).expect(0);

    sandbox.write("bad.yaml", "version: 1\nrules: when\n");
    let refused = sandbox.run(&["fmt", "bad.yaml", "routeplane.yaml"]).expect(3);
    assert!(refused.stderr.contains("RP0100") && refused.stderr.contains("stays as it is"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(sandbox.path("bad.yaml")).unwrap(), "version: 1\nrules: when\n");
    sandbox.run(&["fmt", "absent.yaml"]).expect(66);
}
