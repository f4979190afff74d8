//! The console and `routeplane top`: what they show of a gateway that has worked.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::callers::Caller;
use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client::{self, request};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;
use crate::sdk;

/// The file: two providers, a client key, a preset that falls back and a rule.
fn file(bad: &MockUpstream, good: &MockUpstream) -> String {
    let providers = providers(&[("down", "openai-chat", bad), ("up", "openai-chat", good)]);
    let providers = providers
        .replace(", key: env:KEY_OF_up", ", prices: { m1: { input: 1000, output: 2000 } }, key: env:KEY_OF_up");
    format!(
        "{providers}keys: {{ ci: env:KEY_OF_ci }}\nretries: {{ attempts: 1 }}\n\
         presets:\n  fallen: {{ route: down/m1 > up/m1 }}\n\
         rules: |\n  when header(\"x-team\") == \"research\" -> @fallen\n  otherwise -> as requested\n"
    )
}

/// A gateway that has answered by the target that was asked for, by a fallback, and not at all.
async fn worked() -> (Gateway, String, [MockUpstream; 2]) {
    let (bad, good) = (MockUpstream::start([Act::status(503)]).await, MockUpstream::good().await);
    let yaml = file(&bad, &good);
    let gateway = Gateway::start(&yaml).await;
    let key = format!("Bearer {}", provider_key("ci"));
    for (model, status) in [("up/m1", 200), ("fallen", 200), ("nothing", 404)] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }).to_string();
        let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
        request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await.expect_status(status);
    }
    (gateway, yaml, [bad, good])
}

/// What `/admin/` says, to the holder of the token.
async fn admin(gateway: &Gateway, token: &str, path: &str) -> Value {
    let bearer = format!("Bearer {token}");
    request(gateway.address, "GET", path, &[("authorization", &bearer)], b"").await.expect_status(200).json()
}

/// The address that `routeplane console` prints, and the token in it.
async fn console(gateway: &Gateway) -> (String, String) {
    let printed = gateway.cli(&["console"]).await;
    let (page, token) = printed.trim().split_once("#token=").expect("a file with client keys");
    assert_eq!(page, format!("http://{}/console", gateway.address));
    (page.to_owned(), token.to_owned())
}

/// Waits until the account holds `count` requests: a record comes a moment after its answer.
async fn spent(gateway: &Gateway, token: &str, count: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let spend = admin(gateway, token, "/admin/spend").await;
        if spend["total"]["requests"] == count {
            return spend;
        }
        assert!(Instant::now() < deadline, "{spend:#}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Breaks the file and waits until it is refused.
async fn refused(gateway: &Gateway, yaml: &str, token: &str) {
    gateway.edit(&yaml.replace("retries:", "retriez:"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while admin(gateway, token, "/admin/config/status").await["drift"] != true {
        assert!(Instant::now() < deadline, "{}", gateway.log());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_was_spent_is_told_by_key_model_and_route() {
    let (gateway, ..) = worked().await;
    let (_, token) = console(&gateway).await;
    let spend = spent(&gateway, &token, 3).await;
    let cost = (11.0 * 1000.0 + 7.0 * 2000.0) / 1e6;
    assert_eq!(spend["keys"]["ci"]["requests"], 3);
    assert_eq!(spend["models"]["up/m1"]["requests"], 2);
    assert_eq!(
        spend["models"]["(none)"],
        json!({
            "requests": 1, "failed": 1, "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0, "estimated_usd": 0.0,
        })
    );
    assert_eq!(spend["routes"]["@fallen"]["input_tokens"], 11);
    let total = spend["total"]["cost_usd"].as_f64().unwrap();
    assert!((total - 2.0 * cost).abs() < 1e-9, "{spend:#}");
}

#[tokio::test]
async fn reloads_are_remembered_with_what_was_wrong() {
    let (gateway, yaml, _mocks) = worked().await;
    let (_, token) = console(&gateway).await;
    refused(&gateway, &yaml, &token).await;
    gateway.edit(&yaml.replace("fallen", "risen"));
    let deadline = Instant::now() + Duration::from_secs(20);
    let reloads = loop {
        let reloads = admin(&gateway, &token, "/admin/reloads").await;
        if reloads["reloads"].as_array().unwrap().len() == 3 {
            break reloads;
        }
        assert!(Instant::now() < deadline, "{reloads:#}");
        sleep(Duration::from_millis(20)).await;
    };
    let told: Vec<[&Value; 3]> = reloads["reloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| [&one["result"], &one["generation"], &one["errors"][0]["line"]])
        .collect();
    assert_eq!((told[0][0], told[0][1]), (&json!("ack"), &json!(2)), "{reloads:#}");
    assert_eq!((told[1][0], told[1][1]), (&json!("nack"), &json!(1)), "{reloads:#}");
    assert_eq!((told[2][0], told[2][1]), (&json!("ack"), &json!(1)), "{reloads:#}");
    let wrong = reloads["reloads"][1]["errors"][0].to_string();
    assert!(wrong.contains("retriez"), "{wrong}");
    assert!(reloads["reloads"][0]["changes"].to_string().contains("risen"), "{reloads:#}");
}

#[tokio::test]
async fn the_page_is_for_this_machine_and_loads_nothing_from_elsewhere() {
    let (gateway, ..) = worked().await;
    for (path, media_type) in [
        ("/console", "text/html; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/words.js", "text/javascript; charset=utf-8"),
        ("/console/requests.js", "text/javascript; charset=utf-8"),
        ("/console/table.js", "text/javascript; charset=utf-8"),
        ("/console/views.js", "text/javascript; charset=utf-8"),
        ("/console/console.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = http_client::get(gateway.address, path).await.expect_status(200);
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        for forbidden in ["src=\"http", "href=\"http", "url(", "@import", "innerHTML", "eval("] {
            assert!(!answer.text().contains(forbidden), "{path}: {forbidden}");
        }
        for headers in [[("host", "gateway.example")], [("via", "1.1 proxy")], [("sec-fetch-site", "cross-site")]] {
            request(gateway.address, "GET", path, &headers, b"").await.expect_status(403);
        }
    }
    // What the page shows is for whoever has the token.
    for path in ["/admin/spend", "/admin/reloads", "/admin/table", "/admin/requests"] {
        http_client::get(gateway.address, path).await.expect_status(401);
    }
}

/// From elsewhere the console opens with a client key that is for it, and with no other.
#[tokio::test]
async fn an_admin_key_opens_the_console_from_elsewhere() {
    let mock = MockUpstream::good().await;
    let keys = "keys:\n  ops: { key: env:OPS_KEY, admin: true }\n  ci: env:CI_KEY\n";
    let file = format!("{}listen: 0.0.0.0:0\n{keys}", providers(&[("up", "openai-chat", &mock)]));
    let sandbox = Sandbox::with(&file).env("KEY_OF_up", &provider_key("up"));
    let sandbox = sandbox.env("OPS_KEY", "ops-key-0123456789").env("CI_KEY", "ci-key-0123456789");
    let daemon = sandbox.launch(&["start"]).await;
    let address = ([127, 0, 0, 1], daemon.address.port()).into();
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        // As a proxy with TLS would pass it on.
        let from = [("host", "gateway.example"), ("x-forwarded-for", "10.0.0.7")];
        request(address, method, path, &[&from, headers].concat(), b"").await
    };
    let (ops, ci) = (("authorization", "Bearer ops-key-0123456789"), ("authorization", "Bearer ci-key-0123456789"));
    let token = format!("Bearer {}", daemon.token);
    ask("GET", "/console", &[]).await.expect_status(200);
    for path in
        ["/admin/spend", "/admin/reloads", "/admin/table", "/admin/requests", "/admin/health", "/admin/config/status"]
    {
        ask("GET", path, &[ops]).await.expect_status(200);
        ask("GET", path, &[ops, ("origin", "https://gateway.example"), ("sec-fetch-site", "same-origin")])
            .await
            .expect_status(200);
        // The page asks its reader for a key where this is the answer.
        for wrong in [&[][..], &[ci], &[("authorization", token.as_str())], &[("authorization", "Bearer x")]] {
            let answer = ask("GET", path, wrong).await.expect_status(401);
            assert!(answer.text().contains("`admin: true`"), "{}", answer.text());
        }
        ask("GET", &format!("{path}?key=ops-key-0123456789"), &[]).await.expect_status(401);
        ask("GET", path, &[ops, ("origin", "https://evil.example")]).await.expect_status(403);
    }
    ask("POST", "/admin/reload", &[ci, ("x-routeplane-admin", "1")]).await.expect_status(401);
    ask("POST", "/admin/reload", &[ops, ("x-routeplane-admin", "1")]).await.expect_status(200);
    // It is a client key besides.
    let body = Caller::Chat.body("up/m1", "hello", false).to_string();
    request(address, "POST", "/v1/chat/completions", &[ops], body.as_bytes()).await.expect_status(200);

    // A reload takes the right away.
    sandbox.write("routeplane.yaml", &file.replace(", admin: true", ""));
    daemon.until("the right is gone", async |_| ask("GET", "/admin/spend", &[ops]).await.status == 403).await;
    ask("GET", "/console", &[]).await.expect_status(403);
}

#[tokio::test]
async fn top_shows_requests_targets_and_money() {
    let (gateway, yaml, _mocks) = worked().await;
    let (_, token) = console(&gateway).await;
    spent(&gateway, &token, 3).await;
    refused(&gateway, &yaml, &token).await;
    let picture = gateway.cli(&["top"]).await;
    for (what, words) in [
        ("sums", "3 requests, 1 refused or failed, $0.0500 spent, 22 tokens in, 14 out"),
        ("drift", "the file was refused, the last good one is live"),
        ("spend", "up/m1"),
        ("outcome", "404 refused"),
        ("fallback", "up/m1 (try 2)"),
        ("tokens", "11/7"),
    ] {
        assert!(picture.contains(words), "{what}: {words}\n{picture}");
    }
    let newest = picture.lines().position(|line| line.contains("nothing")).unwrap();
    assert!(newest < picture.lines().position(|line| line.contains("(try 2)")).unwrap(), "{picture}");
}

/// By keyboard and mouse, in a real browser. `ROUTEPLANE_PICTURES` names a folder for screenshots.
#[tokio::test]
#[ignore = "needs Chromium (Debian: apt-get install chromium), and Node.js with npm"]
async fn a_person_uses_the_console() {
    let (gateway, yaml, _mocks) = worked().await;
    let (page, token) = console(&gateway).await;
    spent(&gateway, &token, 3).await;
    refused(&gateway, &yaml, &token).await;
    let url = page.trim_end_matches("/console");
    let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let browser = browser
        .iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("install Chromium (Debian: apt-get install chromium)");
    let mut command = sdk::command_for("node/console.mjs").await;
    command.args([url, &token, browser]).args(std::env::var_os("ROUTEPLANE_PICTURES"));
    let output = command.output().await.unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}\n{}", gateway.log());
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| seen[name].as_str().unwrap_or_else(|| panic!("{name}: {seen:#}")).to_owned();
    assert_eq!((&seen["problems"], &seen["elsewhere"]), (&json!([]), &json!([])), "{seen:#}");
    assert_eq!(seen["asked"], true, "the token is asked for");
    for (place, words) in [
        ("state", "generation 1"),
        ("first", "How it was decided"),
        ("graph", "when header(\"x-team\") == \"research\" -> @fallen"),
        ("graph", "the model that was asked for"),
        ("route", "Leads to @fallen"),
        ("route", "down/m1"),
        ("health", "up/m1"),
        ("health", "1 × HTTP 503"),
        ("spend", "By client key"),
        ("spend", "$0.0500"),
        ("reloads", "retriez"),
        ("drift", "Generation 1 stays live"),
        ("explained", "fires"),
        ("explained", "Route @fallen"),
        ("mistake", "not JSON"),
        ("sheet", "How it was decided"),
    ] {
        assert!(text(place).contains(words), "{place}: {words}\n{seen:#}");
    }
    // The second of the list is the one that fell back.
    assert!(text("second").contains("down/m1") && text("second").contains("HTTP 503"), "{seen:#}");
    assert_eq!(
        (seen["rows"].as_array().unwrap().len(), &seen["filtered"], &seen["reached"]),
        (3, &json!(1), &json!(2))
    );
    // Two targets of the rule, two of the preset, and the caller's own choice.
    assert_eq!((&seen["edges"], &seen["closed"]), (&json!(5), &json!(true)), "{seen:#}");
    assert_eq!(seen["around"], "tab-requests");
    assert_eq!(seen["middle"], true, "the list is wider than a small window");
    assert!(seen["wide"].as_u64().unwrap() <= 420, "the page is wider than a telephone: {}", seen["wide"]);
    assert_ne!(seen["dark"], "rgb(251, 251, 250)");
}
