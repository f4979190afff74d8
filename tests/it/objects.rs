//! Files and batches that a provider keeps.

use serde_json::{Value, json};

use crate::gateway::{Gateway, provider_key};
use crate::http_client::{self, Connection, Response};
use crate::mock_upstream::dialect::{self, Reply};
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream};

const FORM: &str = "multipart/form-data; boundary=xYz";

fn says(body: &Value) -> Act {
    Act::Respond { status: 200, headers: Vec::new(), body: body.to_string().into() }
}

fn form(bytes: &[u8]) -> Vec<u8> {
    let head = "--xYz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xYz\r\nContent-Disposition: \
                form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n";
    [head.as_bytes(), bytes, b"\r\n--xYz--\r\n"].concat()
}

/// One entry of `providers:` that keeps files and batches.
fn keeper(name: &str, protocol: &str, mock: &MockUpstream) -> String {
    let url = mock.base_url(protocol);
    format!(
        "  {name}: {{ protocol: {protocol}, base_url: \"{url}\", key: env:KEY_OF_{name}, operations: [files, batches] }}\n"
    )
}

fn file(entries: &[String], more: &str) -> String {
    format!("version: 1\nproviders:\n{}{more}", entries.concat())
}

async fn one(mock: &MockUpstream) -> Gateway {
    Gateway::start(&file(&[keeper("up", "openai-chat", mock)], "")).await
}

async fn ask(gateway: &Gateway, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let (method, target) = line.split_once(' ').unwrap();
    http_client::request(gateway.address, method, target, headers, body).await
}

#[tokio::test]
async fn every_request_about_files_and_batches_passes_as_it_is() {
    let said = json!({ "id": "x", "object": "y" });
    let mock = MockUpstream::start([says(&said)]).await;
    let gateway = one(&mock).await;
    let lines = [
        "GET /v1/files?purpose=batch&key=mine&limit=2",
        "GET /v1/files/file-1",
        "DELETE /v1/files/file-1",
        "GET /v1/batches?after=b",
        "GET /v1/batches/b%2F1",
        "POST /v1/batches/b/cancel",
    ];
    for line in lines {
        let got = ask(&gateway, line, &[], b"").await.expect_status(200);
        assert_eq!((got.json(), got.header("x-routeplane-target")), (said.clone(), Some("up")), "{line}");
    }
    let sent = br#"{ "input_file_id": "file-1",  "endpoint": "/v1/chat/completions" }"#;
    ask(&gateway, "POST /v1/batches", &[], sent).await.expect_status(200);
    ask(&gateway, "POST /v1/files", &[("content-type", FORM)], &form(b"{}")).await.expect_status(200);
    let seen = mock.requests();
    let targets: Vec<String> =
        seen.iter().map(|seen| format!("{} {}", seen.request.method, seen.request.target)).collect();
    let expected = lines.map(|line| line.replace("&key=mine", ""));
    assert_eq!(targets[..6], expected);
    assert_eq!(targets[6..], ["POST /v1/batches", "POST /v1/files"]);
    assert_eq!(seen[6].request.body, sent);
    assert_eq!((seen[7].request.body.clone(), seen[7].request.header("content-type")), (form(b"{}"), Some(FORM)));
    for seen in &seen {
        assert_eq!(seen.request.header("authorization"), Some(&*format!("Bearer {}", provider_key("up"))));
    }
}

#[tokio::test]
async fn a_file_larger_than_a_document_may_be_passes_and_is_not_kept() {
    const SIZE: usize = 48 << 20;
    let mock = MockUpstream::start([says(&json!({ "id": "file-1" }))]).await;
    let gateway = one(&mock).await;
    ask(&gateway, "POST /v1/files", &[("content-type", FORM)], &form(b"{}")).await.expect_status(200);
    let before = gateway.resident_kib();
    let sent = form(&vec![b'x'; SIZE]);
    ask(&gateway, "POST /v1/files", &[("content-type", FORM)], &sent).await.expect_status(200);
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for an upload of {} KiB", SIZE >> 10);
    let arrived = mock.requests().pop().unwrap().request;
    assert!(arrived.body == sent, "{} of {} bytes", arrived.body.len(), sent.len());
    // A document is read whole, and bounded.
    let got = ask(&gateway, "POST /v1/batches", &[], &vec![b' '; 33 << 20]).await.expect_status(413);
    assert_eq!(got.json()["error"]["code"], "body_too_large");
}

#[tokio::test]
async fn the_bytes_of_a_file_pass_with_their_name_and_are_cut_where_they_break_off() {
    let body = b"{\"custom_id\":1}\n{\"custom_id\":2}\n".to_vec();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("content-disposition", "attachment; filename=\"out.jsonl\"".to_owned()),
        ("set-cookie", "secret".to_owned()),
    ];
    let mock =
        MockUpstream::start([Act::Respond { status: 200, headers, body: body.clone() }, Act::ResetMidBody]).await;
    let gateway = one(&mock).await;
    let got = ask(&gateway, "GET /v1/files/file-1/content", &[], b"").await.expect_status(200);
    assert_eq!((&got.body, got.complete, got.header("set-cookie")), (&body, true, None));
    assert_eq!(got.header("content-disposition"), Some("attachment; filename=\"out.jsonl\""));
    assert_eq!(got.header("content-length"), Some(&*body.len().to_string()));
    let got = ask(&gateway, "GET /v1/files/file-1/content", &[], b"").await;
    assert!(!got.complete, "{got:?}");
}

#[tokio::test]
async fn a_provider_is_named_by_the_request_or_by_the_file_or_is_the_only_one() {
    let (first, second) =
        (MockUpstream::start([says(&json!({}))]).await, MockUpstream::start([says(&json!({}))]).await);
    let entries = [keeper("first", "openai-chat", &first), keeper("second", "openai-chat", &second)];
    let gateway = Gateway::start(&file(&entries, "")).await;
    let got = ask(&gateway, "GET /v1/files", &[], b"").await.expect_status(400);
    let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`first`, `second`") && message.contains("x-routeplane-provider"), "{message}");
    let got = ask(&gateway, "GET /v1/files", &[("x-routeplane-provider", "third")], b"").await.expect_status(400);
    let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no provider `third` here; there are `first`, `second`"), "{message}");
    let named = [("x-routeplane-provider", "second")];
    assert_eq!(ask(&gateway, "GET /v1/files", &named, b"").await.header("x-routeplane-target"), Some("second"));
    // No file of Anthropic's shape is kept by either.
    let anthropic = [("anthropic-version", "2023-06-01")];
    let got = ask(&gateway, "GET /v1/files", &anthropic, b"").await.expect_status(400);
    assert_eq!(got.json()["type"], "error", "in the caller's dialect");

    let gateway = Gateway::start(&file(&entries, "files: { default_provider: first }\n")).await;
    assert_eq!(ask(&gateway, "GET /v1/files", &[], b"").await.header("x-routeplane-target"), Some("first"));
    assert_eq!(ask(&gateway, "GET /v1/files", &named, b"").await.header("x-routeplane-target"), Some("second"));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}

#[tokio::test]
async fn holders_of_several_keys_share_nothing_unless_the_file_says_so() {
    let mock = MockUpstream::start([says(&json!({ "data": ["everything"] }))]).await;
    let entries = [keeper("up", "openai-chat", &mock)];
    let keys = "keys:\n  ci: env:KEY_OF_ci\n  batch: env:KEY_OF_batch\n  web: env:KEY_OF_web\n";
    let bearer = |name: &str| format!("Bearer {}", provider_key(name));
    let lines = [
        "GET /v1/files",
        "GET /v1/files/f",
        "DELETE /v1/files/f",
        "GET /v1/files/f/content",
        "POST /v1/batches/b/cancel",
    ];

    let gateway = Gateway::start(&file(&entries, keys)).await;
    for line in lines {
        let got = ask(&gateway, line, &[("authorization", &bearer("ci"))], b"").await.expect_status(403);
        assert_eq!(got.json()["error"]["code"], "files_not_shared", "{line}");
        ask(&gateway, line, &[], b"").await.expect_status(401);
    }
    assert!(mock.requests().is_empty(), "nothing was asked");

    let gateway = Gateway::start(&file(&entries, &format!("{keys}files: {{ keys: [batch, ci] }}\n"))).await;
    for line in lines {
        for (name, status) in [("ci", 200), ("batch", 200), ("web", 403)] {
            ask(&gateway, line, &[("authorization", &bearer(name))], b"").await.expect_status(status);
        }
    }

    let gateway = Gateway::start(&file(&entries, "keys: { ci: env:KEY_OF_ci }\n")).await;
    ask(&gateway, "GET /v1/files", &[("authorization", &bearer("ci"))], b"").await.expect_status(200);
}

/// A provider that keeps what several callers make. What stands in a file is the name of its caller.
fn keeps_for_several(request: &Request) -> Reply {
    let text = request.text();
    let whose = ["ci", "web"].into_iter().find(|name| text.contains(&format!("from {name}"))).unwrap_or("nobody");
    let page = |ids: [&str; 3]| {
        let data = ids.map(|id| json!({ "id": id, "object": "thing" }));
        json!({ "object": "list", "data": data, "first_id": ids[0], "last_id": ids[2], "has_more": true })
    };
    let batch = |id: &str| json!({ "id": id, "input_file_id": "f", "output_file_id": format!("{id}-out"), "error_file_id": null });
    match (request.method.as_str(), request.path()) {
        ("POST", "/v1/files") => Reply::ok(json!({ "id": format!("file-{whose}"), "object": "file" })),
        ("GET", "/v1/files") => Reply::ok(page(["file-ci", "file-web", "file-of-old"])),
        ("POST", "/v1/batches") => {
            Reply::ok(batch(&format!("batch-of-{}", request.json()["input_file_id"].as_str().unwrap())))
        }
        ("GET", "/v1/batches") => Reply::ok(page(["batch-of-file-ci", "batch-of-file-web", "x"])),
        ("POST", "/v1/uploads") => {
            Reply::ok(json!({ "id": format!("upload-{}", request.json()["filename"].as_str().unwrap()) }))
        }
        ("POST", "/v1/uploads/upload-ci/parts") => Reply::ok(json!({ "id": "part-1" })),
        ("POST", "/v1/uploads/upload-ci/complete") => {
            Reply::ok(json!({ "id": "upload-ci", "status": "completed", "file": { "id": "file-large" } }))
        }
        (_, path) if path.ends_with("/chat/completions") => dialect::reply(request),
        (_, path) => Reply::ok(json!({ "id": path.rsplit('/').next().unwrap(), "object": "thing" })),
    }
}

/// A gateway with two client keys, each with things of its own.
async fn apart() -> (MockUpstream, Gateway) {
    let mock = MockUpstream::start([Act::script(keeps_for_several)]).await;
    let entry = keeper("up", "openai-chat", &mock).replace("batches]", "batches, uploads]");
    let more = "keys: { ci: env:KEY_OF_ci, web: env:KEY_OF_web }\nfiles: { per_key: true }\n";
    let gateway = Gateway::start(&file(&[entry], more)).await;
    (mock, gateway)
}

/// Asks with the key of that name.
async fn ask_as(gateway: &Gateway, name: &str, line: &str, body: &[u8]) -> Response {
    let key = format!("Bearer {}", provider_key(name));
    let form = line.ends_with("/files") || line.ends_with("/parts");
    let content_type = if form { FORM } else { "application/json" };
    ask(gateway, line, &[("authorization", &key), ("content-type", content_type)], body).await
}

/// The ids of a list.
fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|element| element["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_key_has_what_was_made_with_it_and_finds_nothing_else() {
    let (mock, gateway) = apart().await;
    for name in ["ci", "web"] {
        let sent = form(format!("from {name}").as_bytes());
        let made = ask_as(&gateway, name, "POST /v1/files", &sent).await.expect_status(200).json();
        assert_eq!(made["id"], format!("file-{name}"));
    }
    let before = mock.requests().len();
    for line in [
        "GET /v1/files/file-ci",
        "GET /v1/files/file-ci/content",
        "DELETE /v1/files/file-ci",
        "GET /v1/files/file-of-old",
    ] {
        let got = ask_as(&gateway, "web", line, b"").await.expect_status(404).json();
        assert_eq!(got["error"]["code"], "not_found", "{line}");
        assert!(got["error"]["message"].as_str().unwrap().contains("made with this client key"), "{got}");
    }
    assert_eq!(mock.requests().len(), before, "the provider is not asked");
    ask_as(&gateway, "ci", "GET /v1/files/file-ci/content", b"").await.expect_status(200);

    let list = ask_as(&gateway, "ci", "GET /v1/files?limit=3", b"").await.expect_status(200).json();
    assert_eq!(
        (ids(&list), &list["last_id"], &list["has_more"]),
        (vec!["file-ci"], &json!("file-of-old"), &json!(true))
    );
    let list = ask_as(&gateway, "web", "GET /v1/files", b"").await.expect_status(200).json();
    assert_eq!(ids(&list), ["file-web"]);

    ask_as(&gateway, "ci", "DELETE /v1/files/file-ci", b"").await.expect_status(200);
    ask_as(&gateway, "ci", "GET /v1/files/file-ci", b"").await.expect_status(404);
    ask_as(&gateway, "web", "GET /v1/files/file-web", b"").await.expect_status(200);
}

#[tokio::test]
async fn batches_and_uploads_and_their_files_are_their_makers_too() {
    let (_mock, gateway) = apart().await;
    ask_as(&gateway, "ci", "POST /v1/files", &form(b"from ci")).await.expect_status(200);
    let batch = br#"{"input_file_id":"file-ci","endpoint":"/v1/chat/completions","completion_window":"24h"}"#;
    ask_as(&gateway, "web", "POST /v1/batches", batch).await.expect_status(404);
    ask_as(&gateway, "ci", "POST /v1/batches", batch).await.expect_status(200);
    // Whatever the document says that it is.
    let key = format!("Bearer {}", provider_key("web"));
    let headers = [("authorization", &*key), ("content-type", "text/plain")];
    ask(&gateway, "POST /v1/batches", &headers, batch).await.expect_status(404);
    for line in [
        "GET /v1/batches/batch-of-file-ci",
        "POST /v1/batches/batch-of-file-ci/cancel",
        "GET /v1/files/batch-of-file-ci-out/content",
    ] {
        ask_as(&gateway, "web", line, b"").await.expect_status(404);
        ask_as(&gateway, "ci", line, b"").await.expect_status(200);
    }
    let list = ask_as(&gateway, "web", "GET /v1/batches", b"").await.expect_status(200).json();
    assert_eq!(ids(&list), Vec::<&str>::new());

    let upload = br#"{"filename":"ci","purpose":"batch","bytes":3,"mime_type":"text/jsonl"}"#;
    ask_as(&gateway, "ci", "POST /v1/uploads", upload).await.expect_status(200);
    ask_as(&gateway, "web", "POST /v1/uploads/upload-ci/parts", &form(b"x")).await.expect_status(404);
    ask_as(&gateway, "ci", "POST /v1/uploads/upload-ci/parts", &form(b"x")).await.expect_status(200);
    let parts = br#"{"part_ids":["part-1"]}"#;
    ask_as(&gateway, "web", "POST /v1/uploads/upload-ci/complete", parts).await.expect_status(404);
    ask_as(&gateway, "ci", "POST /v1/uploads/upload-ci/complete", parts).await.expect_status(200);
    ask_as(&gateway, "web", "GET /v1/files/file-large", b"").await.expect_status(404);
    ask_as(&gateway, "ci", "GET /v1/files/file-large", b"").await.expect_status(200);
}

#[tokio::test]
async fn a_call_of_a_model_names_only_files_of_its_own_key() {
    let (mock, gateway) = apart().await;
    ask_as(&gateway, "ci", "POST /v1/files", &form(b"from ci")).await.expect_status(200);
    let body = |id: &str| {
        let part = json!({ "type": "file", "file": { "file_id": id } });
        json!({ "model": "up/m1", "messages": [{ "role": "user", "content": [part] }] }).to_string().into_bytes()
    };
    let chat = "POST /v1/chat/completions";
    let got = ask_as(&gateway, "web", chat, &body("file-ci")).await.expect_status(404).json();
    assert!(got["error"]["message"].as_str().unwrap().contains("`file-ci`"), "{got}");
    ask_as(&gateway, "ci", chat, &body("file-of-old")).await.expect_status(404);
    assert_eq!(mock.requests().len(), 1, "only the upload went out");
    ask_as(&gateway, "ci", chat, &body("file-ci")).await.expect_status(200);
    ask_as(&gateway, "ci", chat, b"{\"model\":").await.expect_status(400);
}

#[tokio::test]
async fn a_reload_forgets_nobodys_files_and_a_list_that_cannot_be_read_is_not_told() {
    let (mock, gateway) = apart().await;
    ask_as(&gateway, "ci", "POST /v1/files", &form(b"from ci")).await.expect_status(200);
    let text = std::fs::read_to_string(gateway.folder().join("routeplane.yaml")).unwrap();
    gateway.edit(&format!("{text}presets: {{ p: up/m1 }}\n"));
    gateway.cli(&["reload"]).await;
    let got = ask_as(&gateway, "ci", "GET /v1/files/file-ci", b"").await.expect_status(200);
    assert_eq!(got.header("x-routeplane-generation"), Some("2"));
    drop(mock);

    let headers = vec![("content-type", "text/plain".to_owned())];
    let act = Act::Respond { status: 200, headers, body: b"file-ci, file-web".to_vec() };
    let mock = MockUpstream::start([act]).await;
    let more = "keys: { ci: env:KEY_OF_ci }\nfiles: { per_key: true }\n";
    let gateway = Gateway::start(&file(&[keeper("up", "openai-chat", &mock)], more)).await;
    let got = ask_as(&gateway, "ci", "GET /v1/files?limit=2", b"").await.expect_status(502);
    assert!(!got.text().contains("file-web"), "{got:?}");
}

#[tokio::test]
async fn what_a_provider_refuses_is_told_in_its_words_and_without_its_key() {
    let acts = [Act::EchoHeaders(404), Act::EchoHeaders(401), Act::CloseBeforeHead];
    let mock = MockUpstream::start(acts).await;
    let gateway = one(&mock).await;
    for (status, origin) in [(404, "upstream"), (502, "gateway"), (502, "gateway")] {
        let got = ask(&gateway, "GET /v1/files/f", &[], b"").await.expect_status(status);
        assert_eq!(got.header("x-routeplane-origin"), Some(origin));
        assert!(!got.text().contains(&provider_key("up")), "{got:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_an_upload_takes_it_along() {
    let mock = MockUpstream::start([says(&json!({}))]).await;
    let gateway = one(&mock).await;
    let mut connection = Connection::open(gateway.address).await;
    let headers = [("content-type", FORM), ("content-length", "100000")];
    connection.send("POST", "/v1/files", &headers, b"--xYz\r\n").await;
    drop(connection);
    // The half of a file is no file.
    ask(&gateway, "GET /v1/files", &[], b"").await.expect_status(200);
    assert_eq!(mock.only_request().request.method, "GET");
}

#[tokio::test]
async fn anthropics_batches_find_their_results_here() {
    let mock = MockUpstream::start([Act::script(|request| {
        let results = format!("http://{}/v1/messages/batches/b1/results", request.header("host").unwrap());
        Reply::ok(json!({ "id": "b1", "results_url": results }))
    })])
    .await;
    let gateway = Gateway::start(&file(&[keeper("up", "anthropic-messages", &mock)], "")).await;
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "files-api-2025-04-14"), ("x-api-key", "k")];
    let got = ask(&gateway, "GET /v1/messages/batches/b1?beta=true", &headers, b"").await.expect_status(200);
    assert_eq!(got.json()["results_url"], "/v1/messages/batches/b1/results");
    ask(&gateway, "GET /v1/messages/batches/b1/results", &headers, b"").await.expect_status(200);
    ask(&gateway, "POST /v1/files?beta=true", &headers, b"{}").await.expect_status(200);
    let seen = mock.requests();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.request.target.as_str()).collect();
    assert_eq!(
        targets,
        ["/v1/messages/batches/b1?beta=true", "/v1/messages/batches/b1/results", "/v1/files?beta=true"]
    );
    for seen in &seen {
        assert_eq!(seen.request.header("anthropic-beta"), Some("files-api-2025-04-14"));
        assert_eq!(seen.request.header("anthropic-version"), Some("2023-06-01"));
        assert_ne!(seen.request.header("x-api-key"), Some("k"));
    }
}

/// What was deleted cannot be deleted once more: a used connection, which may break under it, is not for that.
#[tokio::test]
async fn a_deletion_is_sent_once_and_by_a_new_connection() {
    let said = says(&json!({ "id": "x" }));
    let lost = Act::ResetBeforeHead;
    let mock = MockUpstream::start([said.clone(), said.clone(), lost.clone(), said.clone(), lost, said]).await;
    let gateway = one(&mock).await;
    ask(&gateway, "GET /v1/files/f", &[], b"").await.expect_status(200);
    ask(&gateway, "DELETE /v1/files/f", &[], b"").await.expect_status(200);
    ask(&gateway, "GET /v1/files/f", &[], b"").await.expect_status(200);
    let failed = ask(&gateway, "DELETE /v1/files/g", &[], b"").await.expect_status(502);
    assert_eq!(failed.json()["error"]["code"], "upstream_reset");
    let seen = mock.requests();
    let sent: Vec<(&str, bool)> = seen
        .iter()
        .enumerate()
        .map(|(at, record)| {
            let used = seen[..at].iter().any(|before| before.connection == record.connection);
            (&*record.request.method, used)
        })
        .collect();
    let expected = [("GET", false), ("DELETE", false), ("GET", true), ("GET", false), ("DELETE", false)];
    assert_eq!(sent, expected);
}
