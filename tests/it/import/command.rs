//! `routeplane import-tensorzero`, as a user meets it.

use crate::sandbox::Sandbox;

const ALIAS: &str = "[functions.chat]\ntype = \"chat\"\n\n[functions.chat.variants.only]\ntype = \"chat_completion\"\nmodel = \"openai::gpt-4o-mini\"\n";
const IMPORT: &[&str] = &["import-tensorzero", "tz/tensorzero.toml", "--out", "out"];

fn sandbox(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("tz")).unwrap();
    sandbox.write("tz/tensorzero.toml", text);
    sandbox
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    IMPORT.iter().chain(more).copied().collect()
}

#[test]
fn what_is_written_passes_check_and_is_written_again_with_the_same_bytes() {
    let sandbox = sandbox(ALIAS);
    let ended = sandbox.run(IMPORT).expect(0);
    assert!(ended.stdout.contains("3 settings: 3 carried"), "{}", ended.stdout);
    let yaml = std::fs::read(sandbox.path("out/routeplane.yaml")).unwrap();
    sandbox.run(&["check", "out/routeplane.yaml"]).expect(0);
    let again = sandbox.run(IMPORT).expect(0);
    assert!(again.stdout.contains("0 files new, 0 replaced, 1 as they were"), "{}", again.stdout);
    assert_eq!(std::fs::read(sandbox.path("out/routeplane.yaml")).unwrap(), yaml);
}

#[test]
fn what_somebody_else_wrote_stays() {
    let sandbox = sandbox(ALIAS);
    std::fs::create_dir_all(sandbox.path("out")).unwrap();
    sandbox.write("out/routeplane.yaml", "version: 1\n");
    let ended = sandbox.run(IMPORT).expect(1);
    assert!(ended.stderr.contains("is there and differs"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("out/routeplane.yaml")).unwrap(), "version: 1\n");
    let forced = sandbox.run(&with(&["--force"])).expect(0);
    assert!(forced.stdout.contains("1 replaced"), "{}", forced.stdout);
    // What an import wrote, the next one may replace.
    sandbox.write("tz/tensorzero.toml", &ALIAS.replace("4o-mini", "5"));
    assert!(sandbox.run(IMPORT).expect(0).stdout.contains("1 replaced"));
}

#[test]
fn the_exit_code_says_how_much_is_carried_over() {
    let warned = sandbox(&format!("[gateway]\nobservability.enabled = true\n{ALIAS}"));
    warned.run(IMPORT).expect(2);
    assert!(warned.path("out/routeplane.yaml").exists());
    let strict = sandbox(&format!("[gateway]\nobservability.enabled = true\n{ALIAS}"));
    let ended = strict.run(&with(&["--strict"])).expect(2);
    assert!(ended.stdout.contains("nothing is written"), "{}", ended.stdout);
    assert!(!strict.path("out").exists());
    let lossy = sandbox(&format!("[gateway.relay]\ngateway_url = \"http://edge:3000\"\n{ALIAS}"));
    lossy.run(IMPORT).expect(3);
    let refused = sandbox(&ALIAS.replace("model =", "modle ="));
    let ended = refused.run(IMPORT).expect(4);
    assert!(ended.stderr.contains("did you mean `model`?"), "{}", ended.stderr);
    assert!(!refused.path("out").exists());
    sandbox(ALIAS).run(&["import-tensorzero", "tz/*.yaml"]).expect(66);
    sandbox(ALIAS).run(&with(&["--freeze", "nonsense"])).expect(2);
    sandbox(ALIAS).run(&with(&["--freeze", "chat=other:1"])).expect(4);
}

#[test]
fn the_report_is_a_list_in_json() {
    let sandbox = sandbox(&format!("{ALIAS}weight = 1.0\n"));
    let printed =
        sandbox.run(&with(&["--format", "json", "--dry-run", "--report", "reports/report.json"])).expect(0).json();
    assert!(!sandbox.path("out").exists());
    let written = std::fs::read_to_string(sandbox.path("reports/report.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), printed);
    let last = printed.as_array().unwrap().last().unwrap();
    assert_eq!(
        *last,
        serde_json::json!({
            "path": "functions.chat.variants.only.weight",
            "verdict": "carried",
            "severity": "info",
            "file": "tz/tensorzero.toml",
            "line": 7,
            "column": 10,
            "message": "the only variant",
        })
    );
    let refused = self::sandbox("[modles]\n").run(&with(&["--format", "json"])).expect(4).json();
    assert_eq!((&refused[0]["path"], &refused[0]["verdict"]), (&"modles".into(), &"refused".into()));
}

#[test]
fn keys_are_never_printed_nor_written() {
    let secret = "sk-proj-0123456789abcdef";
    let header = format!("extra_headers = [{{ name = \"Authorization\", value = \"Bearer {secret}\" }}]");
    let model = format!(
        "[models.m]\nrouting = [\"p\"]\n[models.m.providers.p]\ntype = \"openai\"\nmodel_name = \"x\"\n{header}\n"
    );
    for text in [
        model.clone(),
        model.replace("extra_headers", "extra_haeders"),
        format!("{ALIAS}{header}\n"),
        format!("{ALIAS}extra_body = [{{ pointer = \"/key\", value = \"{secret}\" }}]\n"),
        format!("[api_keys.\"{secret}\"]\nname = \"hunter2-hunter2\"\n"),
        format!("[gateway.observability.kafka]\npassword = \"hunter2-hunter2\"\nkey = {secret}\n"),
        format!("[models.m]\nrouting = [\"p\"]\nproviders.p = \"{secret} hunter2-hunter2\"\n"),
    ] {
        let sandbox = sandbox(&text);
        let ended = sandbox.run(&with(&["--report", "report.json"]));
        assert!(ended.code == 2 || ended.code == 3 || ended.code == 4, "{ended:?}");
        let written = ["out/routeplane.yaml", "report.json"]
            .map(|name| std::fs::read_to_string(sandbox.path(name)).unwrap_or_default());
        let all = format!("{}{}{}", ended.stdout, ended.stderr, written.concat());
        assert!(!all.contains("0123456789abcdef") && !all.contains("hunter2-hunter2"), "{all}");
    }
}

#[test]
fn several_files_are_put_together_in_the_order_of_their_names() {
    let sandbox = sandbox(&ALIAS.replace("openai::gpt-4o-mini", "shared"));
    std::fs::create_dir_all(sandbox.path("tz/models")).unwrap();
    sandbox.write(
        "tz/models/a.toml",
        "[models.shared]\nrouting = [\"o\"]\n[models.shared.providers.o]\ntype = \"openai\"\nmodel_name = \"gpt-5\"\n",
    );
    sandbox.run(&["import-tensorzero", "tz/**/*.toml", "--out", "out"]).expect(0);
    let yaml = std::fs::read_to_string(sandbox.path("out/routeplane.yaml")).unwrap();
    assert!(yaml.contains("chat: \"@shared\" # tensorzero.toml:4"), "{yaml}");
    sandbox.run(&["import-tensorzero", "tz/*.toml", "--out", "other"]).expect(4);
}
