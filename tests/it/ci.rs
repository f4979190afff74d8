//! What runs in the CI of others: the steps of the action, and the hooks, with the program as it is.

use std::os::unix::fs::symlink;
use std::path::Path;

use routeplane::config::node::{Kind, Node};
use routeplane::config::yaml;
use routeplane::diagnostic::Diagnostics;
use routeplane::source::SourceId;

use crate::sandbox::Sandbox;

fn read(name: &str) -> Node {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    yaml::parse(SourceId(0), &text, &mut Diagnostics::default()).unwrap()
}

fn member<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Kind::Mapping(entries) = &node.kind else { return None };
    entries.iter().find(|entry| entry.key.value == key).map(|entry| &entry.value)
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Sequence(items) => items,
        other => panic!("{other:?}"),
    }
}

fn text(node: &Node) -> &str {
    match &node.kind {
        Kind::String(text) => &text.text,
        other => panic!("{other:?}"),
    }
}

/// The script of the action's step of this id.
fn script(id: &str) -> String {
    let action = read("action.yml");
    let steps = items(member(member(&action, "runs").unwrap(), "steps").unwrap());
    let step = steps.iter().find(|step| member(step, "id").is_some_and(|found| text(found) == id)).unwrap();
    text(member(step, "run").unwrap()).to_owned()
}

/// Runs a script with the program in its path.
fn run(sandbox: &Sandbox, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let bin = sandbox.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_routeplane"), bin.join("routeplane")).unwrap();
    }
    let mut command = std::process::Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(sandbox.path("")).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", sandbox.path(""));
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), told)
}

#[test]
fn the_action_annotates_and_fails_where_check_does() {
    let sandbox = Sandbox::with("version: 1\npresets: { default: demo/chat }\n");
    let inputs = [("FILE", "routeplane.yaml"), ("FORMAT", "github"), ("DENY", ""), ("FMT", "true"), ("OUTPUT", "")];
    let (code, told) = run(&sandbox, &script("check"), &inputs);
    assert_eq!(code, 0, "{told}");

    sandbox.write("routeplane.yaml", "version:   1\npresets: { default: demo/chat }\n");
    let (code, told) = run(&sandbox, &script("check"), &inputs);
    assert!(code == 3 && told.contains("not formatted"), "{code} {told}");

    sandbox.write("routeplane.yaml", "version: 1\npresets: { default: openai/gpt-5 }\n");
    let mut strict = inputs;
    strict[2].1 = "warnings";
    strict[3].1 = "false";
    let (code, told) = run(&sandbox, &script("check"), &strict);
    assert!(code == 3 && told.contains("::warning file=routeplane.yaml"), "{code} {told}");

    sandbox.write("routeplane.yaml", "version: 1\npreset: {}\n");
    let sarif =
        [("FILE", "routeplane.yaml"), ("FORMAT", "sarif"), ("DENY", ""), ("FMT", "false"), ("OUTPUT", "out.sarif")];
    let (code, told) = run(&sandbox, &script("check"), &sarif);
    assert_eq!(code, 3, "{told}");
    let log: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.path("out.sarif")).unwrap()).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "RP0020");
}

#[test]
fn the_action_knows_whether_it_has_to_build() {
    let sandbox = Sandbox::new();
    let source = env!("CARGO_MANIFEST_DIR");
    let output = sandbox.write("output", "");
    let variables = [("SOURCE", source), ("GITHUB_OUTPUT", output.to_str().unwrap())];
    let (code, told) = run(&sandbox, &script("source"), &variables);
    assert_eq!(code, 0, "{told}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "present=true\n");
    sandbox.shell("rm bin/routeplane");
    let (code, told) = run(&sandbox, &script("source"), &variables);
    assert_eq!(code, 0, "{told}");
    let said = std::fs::read_to_string(&output).unwrap();
    assert!(said.lines().last().unwrap().strip_prefix("digest=").is_some_and(|digest| digest.len() == 32), "{said}");
}

#[test]
fn every_hook_is_a_command_that_works() {
    let sandbox = Sandbox::with("version: 1\npresets: { default: demo/chat }\n");
    let hooks = read(".pre-commit-hooks.yaml");
    let mut names = Vec::new();
    for hook in items(&hooks) {
        let entry = text(member(hook, "entry").unwrap());
        let files = regex::Regex::new(text(member(hook, "files").unwrap())).unwrap();
        assert!(
            files.is_match("routeplane.yaml") && files.is_match("deploy/routeplane.yml") && !files.is_match("a.yaml")
        );
        let (code, told) = run(&sandbox, &format!("{entry} routeplane.yaml"), &[]);
        assert_eq!(code, 0, "{entry}: {told}");
        names.push(text(member(hook, "id").unwrap()).to_owned());
    }
    assert_eq!(names, ["routeplane-check", "routeplane-fmt"]);
}

/// The program that runs hooks, from PyPI, runs ours: it stops at a mistake, and at a file that it wrote anew.
#[tokio::test]
#[ignore = "needs Python 3 with its `venv` module, PyPI and Git"]
async fn pre_commit_runs_the_hooks() {
    let python = crate::sdk::python_with("pre-commit", "sdk/pre-commit/requirements.txt").await;
    let sandbox = Sandbox::with("version: 1\npresets:\n    a:   demo/chat\nrules: |\n  when modle == \"x\" -> @a\n");
    // The program is there: nothing is built.
    let hooks = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml")).unwrap();
    sandbox.write("hooks/.pre-commit-hooks.yaml", &hooks.replace("language: rust", "language: system"));
    sandbox.shell(
        "export HOME=$PWD; git config --global user.email a@b.example; git config --global user.name a
         git -C hooks init -q; git -C hooks add -A; git -C hooks commit -qm hooks; git init -q
         printf 'repos:\\n- repo: %s/hooks\\n  rev: %s\\n  hooks: [{ id: routeplane-check }, { id: routeplane-fmt }]\\n' \\
           \"$PWD\" \"$(git -C hooks rev-parse HEAD)\" > .pre-commit-config.yaml
         git add routeplane.yaml .pre-commit-config.yaml",
    );
    let all = format!("{}/bin/python -m pre_commit run --all-files", python.display());
    let (code, told) = run(&sandbox, &all, &[]);
    assert!(
        code == 1 && told.contains("unknown fact `modle`") && told.contains("files were modified"),
        "{code} {told}"
    );
    sandbox.shell("sed -i s/modle/model/ routeplane.yaml && git add routeplane.yaml");
    let (code, told) = run(&sandbox, &all, &[]);
    assert_eq!(code, 0, "{told}");
    let written = std::fs::read_to_string(sandbox.path("routeplane.yaml")).unwrap();
    assert_eq!(written, "version: 1\npresets:\n  a: demo/chat\nrules: |\n  when model == \"x\" -> @a\n");
}
