//! What an operator meets: probes, key files, what is printed and what is not.

use serde_json::json;

use crate::http_client;
use crate::sandbox::Sandbox;

const SMALL: &str = "version: 1\npresets:\n  default: demo/chat\n";

#[tokio::test]
async fn probes_are_answered_under_any_name() {
    let daemon = Sandbox::with(SMALL).start(&[]).await;
    for host in ["10.1.2.3:4356", "gateway.example", ""] {
        for (path, status) in [("/livez", 200), ("/readyz", 200), ("/", 403), ("/v1/models", 403)] {
            let headers = [("host", host), ("origin", "http://evil.example")];
            http_client::request(daemon.address, "GET", path, &headers, b"").await.expect_status(status);
        }
    }
}

/// The path of a key file is relative to the configuration, wherever the gateway was started; and the file is watched.
#[tokio::test]
async fn a_key_file_lies_beside_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.write("etc/routeplane.yaml", &format!("{SMALL}keys: {{ ci: \"file:keys/ci\" }}\n"));
    sandbox.write("etc/keys/ci", "the-first-client-key\n");
    let daemon = sandbox.start(&["--config", "etc/routeplane.yaml"]).await;
    let body = json!({ "model": "@default", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    let ask = async |key: &str| {
        let key = format!("Bearer {key}");
        let headers = [("authorization", key.as_str())];
        http_client::request(daemon.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await.status
    };
    assert_eq!((ask("the-first-client-key").await, ask("the-second-client-key").await), (200, 401));
    let curl = daemon.stdout();
    assert!(curl.contains(&format!("$(cat '{}')", sandbox.path("etc/keys/ci").display())), "{curl}");
    sandbox.write("etc/keys/ci", "the-second-client-key\n");
    daemon.until("the new key is live", async |_| ask("the-second-client-key").await == 200).await;
    assert_eq!(ask("the-first-client-key").await, 401);
}

#[tokio::test]
async fn an_absolute_path_of_a_key_file_is_taken_as_it_is() {
    let sandbox = Sandbox::new();
    let key = sandbox.write("elsewhere/ci", "an-absolute-client-key");
    sandbox.write("etc/routeplane.yaml", &format!("{SMALL}keys: {{ ci: \"file:{}\" }}\n", key.display()));
    let daemon = sandbox.start(&["--config", "etc/routeplane.yaml"]).await;
    let headers = [("x-api-key", "an-absolute-client-key")];
    http_client::request(daemon.address, "GET", "/v1/models", &headers, b"").await.expect_status(200);
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    for url in
        ["https://me:hunter2@box.example/v1", "me:hunter2@box", "ftp://me:hunter2@box", "http://me:hunt er2@box/v1"]
    {
        let sandbox = Sandbox::with(&format!(
            "version: 1\nproviders:\n  box: {{ protocol: openai-chat, base_url: \"{url}\" }} # not https://me:hunter2@box\n"
        ));
        for format in ["human", "json", "sarif", "github"] {
            let ended = sandbox.run(&["check", "--format", format]).expect(3);
            let said = ended.stdout + &ended.stderr;
            assert!(!said.contains("hunt") && !said.contains("er2"), "{said}");
            assert!(said.contains("URL"), "{said}");
        }
    }
}
