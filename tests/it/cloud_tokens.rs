//! Vertex with an account of Google Cloud, Azure with Microsoft Entra ID: where tokens come from, and what becomes of them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::http_client::{self, Response};
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

/// Made for these tests; nothing knows it.
const KEY: &str = include_str!("../clouds/throwaway-key.pem");
const TOKEN: &str = "ya29.CANARY-token";

fn answer(status: u16, body: &Value) -> Act {
    Act::Respond { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

fn token(text: &str) -> Act {
    answer(200, &json!({ "access_token": text, "expires_in": 3599, "token_type": "Bearer" }))
}

fn url(mock: &MockUpstream) -> String {
    format!("http://{}", mock.address())
}

/// A form of an OAuth request, decoded.
fn form(request: &Request) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let text = request.text();
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    form.iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
        .unwrap_or_else(|| panic!("{name}: {form:?}"))
}

async fn ask(daemon: &Daemon, model: &str) -> Response {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    http_client::request(daemon.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await
}

async fn keeps_secrets(sandbox: &Sandbox, daemon: &Daemon, answers: &[&Response]) {
    let mut texts = vec![daemon.log(), daemon.stdout(), daemon.status().await.to_string()];
    texts.push(sandbox.run(&["explain", "--table"]).stdout);
    texts.push(sandbox.run(&["explain", "--table", "--format", "json"]).stdout);
    texts.extend(answers.iter().map(|answer| format!("{answer:?}")));
    for text in texts {
        assert!(!text.contains("CANARY") && !text.contains("PRIVATE KEY"), "{text}");
    }
}

// === Google Cloud ===

const GEMINI: &str = "vertex/gemini-2.5-flash";
const NO_RETRIES: &str = "version: 1\nproviders:\n  vertex: {}\nretries: { attempts: 1 }\n";

/// A sandbox whose Vertex is `upstream`, and no metadata server.
fn vertex(upstream: &MockUpstream) -> Sandbox {
    Sandbox::new()
        .env("GOOGLE_VERTEX_BASE_URL", &url(upstream))
        .env("GOOGLE_CLOUD_PROJECT", "my-project")
        .env("GOOGLE_CLOUD_LOCATION", "europe-west4")
        .env("GCE_METADATA_HOST", &crate::gateway::free_address().to_string())
}

fn service_account(token_uri: &str) -> String {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "kid-1", "private_key": KEY,
        "client_email": "gateway@p.iam.gserviceaccount.com", "token_uri": token_uri,
    })
    .to_string()
}

#[tokio::test]
async fn a_service_account_signs_a_claim_and_gets_a_token() {
    let (upstream, oauth) = (MockUpstream::good().await, MockUpstream::start([token(TOKEN)]).await);
    let sandbox = vertex(&upstream);
    let file = sandbox.write("key.json", &service_account(&format!("{}/token", url(&oauth))));
    let sandbox = sandbox.env("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap());
    let daemon = sandbox.start(&[]).await;
    assert!(daemon.stdout().contains("vertex (GOOGLE_APPLICATION_CREDENTIALS)"), "{}", daemon.stdout());
    ask(&daemon, GEMINI).await.expect_status(200);
    ask(&daemon, GEMINI).await.expect_status(200);
    let requests = upstream.requests();
    assert_eq!(
        requests[0].request.target,
        "/v1/projects/my-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent"
    );
    let sent = format!("Bearer {TOKEN}");
    assert!(requests.iter().all(|record| record.request.header("authorization") == Some(&sent)));
    assert_eq!(requests[0].request.header("x-goog-user-project"), None);

    let exchange = form(&oauth.only_request().request);
    assert_eq!(field(&exchange, "grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = field(&exchange, "assertion");
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let claims = read(claims);
    assert_eq!(claims["iss"], "gateway@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{}/token", url(&oauth)));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    let base64: String = KEY.lines().filter(|line| !line.starts_with("---")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
    let public: RsaPublicKeyComponents<Vec<u8>> = key.public().into();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).expect("the key's own signature");
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn the_login_of_gcloud_is_found_and_names_its_quota() {
    let (upstream, oauth) = (MockUpstream::good().await, MockUpstream::start([token(TOKEN)]).await);
    let sandbox = vertex(&upstream);
    let login = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "CANARY-secret", "refresh_token": "CANARY-refresh",
        "quota_project_id": "pays", "token_uri": url(&oauth),
    });
    sandbox.write(".config/gcloud/application_default_credentials.json", &login.to_string());
    sandbox.write("routeplane.yaml", NO_RETRIES);
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, GEMINI).await.expect_status(200);
    let request = upstream.only_request().request;
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(request.header("x-goog-user-project"), Some("pays"));
    let exchange = form(&oauth.only_request().request);
    assert_eq!(
        (field(&exchange, "grant_type"), field(&exchange, "refresh_token")),
        ("refresh_token", "CANARY-refresh")
    );
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn the_metadata_server_is_asked_last_and_a_refused_token_is_renewed_once() {
    let refused = answer(401, &json!({ "error": { "code": 401, "message": "expired", "status": "UNAUTHENTICATED" } }));
    let upstream = MockUpstream::start([refused.clone(), Act::Answer, refused]).await;
    let metadata = MockUpstream::start([token("first-token"), token("second-token")]).await;
    let sandbox = vertex(&upstream).env("GCE_METADATA_HOST", &metadata.address().to_string());
    sandbox.write("routeplane.yaml", NO_RETRIES);
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, GEMINI).await.expect_status(200);
    let sent = |at: usize| upstream.requests()[at].request.header("authorization").unwrap().to_owned();
    assert_eq!((sent(0).as_str(), sent(1).as_str()), ("Bearer first-token", "Bearer second-token"));
    let asked = metadata.requests()[0].request.clone();
    assert_eq!(asked.path(), "/computeMetadata/v1/instance/service-accounts/default/token");
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
    // An upstream that refuses everything does not send us to the metadata server again and again.
    let answer = ask(&daemon, GEMINI).await.expect_status(502);
    assert_eq!(answer.json()["error"]["code"], "upstream_auth");
    assert_eq!((upstream.requests().len(), metadata.requests().len()), (3, 2));
}

#[tokio::test]
async fn another_issuers_token_is_exchanged_and_stands_in_for_an_account() {
    let upstream = MockUpstream::good().await;
    let sts = MockUpstream::start([token("federated-token")]).await;
    let end = "2999-01-01T00:00:00Z";
    let iam = MockUpstream::start([answer(200, &json!({ "accessToken": TOKEN, "expireTime": end }))]).await;
    let sandbox = vertex(&upstream);
    sandbox.write("subject.json", &json!({ "token": "subject-jwt" }).to_string());
    let pool = json!({
        "type": "external_account", "audience": "//iam/pools/p", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": url(&sts), "service_account_impersonation_url": format!("{}/sa:generateAccessToken", url(&iam)),
        "credential_source": { "file": "subject.json", "format": { "type": "json", "subject_token_field_name": "token" } },
    });
    sandbox.write("pool.json", &pool.to_string());
    sandbox.write(
        "routeplane.yaml",
        "version: 1\nproviders:\n  vertex: { project: other, location: global, credentials: { key_file: pool.json } }\n",
    );
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, GEMINI).await.expect_status(200);
    let request = upstream.only_request().request;
    assert!(request.target.starts_with("/v1/projects/other/locations/global/"), "{request:?}");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let exchange = form(&sts.only_request().request);
    assert_eq!((field(&exchange, "subject_token"), field(&exchange, "audience")), ("subject-jwt", "//iam/pools/p"));
    assert_eq!(iam.only_request().request.header("authorization"), Some("Bearer federated-token"));
}

#[tokio::test]
async fn what_is_wrong_with_the_account_is_said_without_its_secrets() {
    let upstream = MockUpstream::good().await;
    let refusal = answer(400, &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }));
    let oauth = MockUpstream::start([refusal]).await;
    let cases = [
        (service_account(&url(&oauth)), "400 Bad Request invalid_grant Invalid JWT Signature."),
        (service_account("http://evil.example/token"), "`http://evil.example/token` must be an `https` address"),
        (service_account(&url(&oauth)).replace("BEGIN PRIVATE", "BEGIN CANARY"), "its `private_key` cannot be read"),
        (json!({ "type": "gdch_service_account" }).to_string(), "files of the type `gdch_service_account`"),
        ("CANARY".to_owned(), "it is not JSON"),
    ];
    for (file, expected) in cases {
        let sandbox = vertex(&upstream);
        sandbox.write("key.json", &file);
        sandbox.write("routeplane.yaml", &NO_RETRIES.replace("{}", "{ credentials: { key_file: key.json } }"));
        let daemon = sandbox.start(&[]).await;
        let answer = ask(&daemon, GEMINI).await.expect_status(503);
        let said = answer.json()["error"].clone();
        assert_eq!(said["code"], "no_provider_token");
        assert!(said["message"].as_str().unwrap().contains(expected), "{said}");
        let status = daemon.get("/admin/config/status").await;
        let standing = &status.json()["tokens"][0];
        assert_eq!((&standing["provider"], &standing["state"]), (&json!("vertex"), &json!("missing")), "{standing}");
        assert!(standing["problem"].as_str().unwrap().contains(expected), "{standing}");
        keeps_secrets(&sandbox, &daemon, &[&answer, &status]).await;
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn without_an_account_the_answer_says_what_to_set_in_the_callers_dialect() {
    let upstream = MockUpstream::good().await;
    let sandbox = vertex(&upstream);
    sandbox.write("routeplane.yaml", NO_RETRIES);
    let daemon = sandbox.start(&[]).await;
    let body =
        json!({ "model": GEMINI, "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let headers = [("anthropic-version", "2023-06-01")];
    let answer = http_client::request(daemon.address, "POST", "/v1/messages", &headers, body.as_bytes()).await;
    let said = answer.json();
    assert_eq!((answer.status, &said["error"]["type"]), (503, &json!("overloaded_error")));
    let message = said["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("`vertex` has no access") && message.contains("`gcloud auth application-default login`"),
        "{message}"
    );
}

/// A token outlives a reload that does not change whose it is, and ends with one that does.
#[tokio::test]
async fn a_reload_keeps_the_token_unless_the_account_changes() {
    let (upstream, oauth) = (MockUpstream::good().await, MockUpstream::start([token(TOKEN)]).await);
    let sandbox = vertex(&upstream);
    for name in ["a.json", "b.json"] {
        sandbox.write(name, &service_account(&url(&oauth)));
    }
    let file =
        |key: &str, more: &str| NO_RETRIES.replace("{}", &format!("{{ credentials: {{ key_file: {key} }} }}")) + more;
    sandbox.write("routeplane.yaml", &file("a.json", ""));
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, GEMINI).await.expect_status(200);
    sandbox.write("routeplane.yaml", &file("a.json", "presets: { p: demo/chat }\n"));
    daemon.reload().await.expect_status(200);
    ask(&daemon, GEMINI).await.expect_status(200);
    assert_eq!(oauth.requests().len(), 1);
    sandbox.write("routeplane.yaml", &file("b.json", "presets: { p: demo/chat }\n"));
    daemon.reload().await.expect_status(200);
    ask(&daemon, GEMINI).await.expect_status(200);
    assert_eq!(oauth.requests().len(), 2);
}

// === Azure ===

const DEPLOYMENT: &str = "azure/my-gpt";

fn azure(upstream: &MockUpstream) -> Sandbox {
    Sandbox::new().env("AZURE_OPENAI_ENDPOINT", &url(upstream))
}

#[tokio::test]
async fn an_application_with_a_secret_gets_a_token_of_entra() {
    let (upstream, entra) = (MockUpstream::good().await, MockUpstream::start([token(TOKEN)]).await);
    let sandbox = azure(&upstream)
        .env("AZURE_AUTHORITY_HOST", &format!("{}/", url(&entra)))
        .env("AZURE_TENANT_ID", "tenant-1")
        .env("AZURE_CLIENT_ID", "client-1")
        .env("AZURE_CLIENT_SECRET", "CANARY-secret");
    let daemon = sandbox.start(&[]).await;
    assert!(daemon.stdout().contains("azure (AZURE_CLIENT_SECRET)"), "{}", daemon.stdout());
    ask(&daemon, DEPLOYMENT).await.expect_status(200);
    let request = upstream.only_request().request;
    assert_eq!(request.target, "/openai/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(request.header("api-key"), None);
    let exchange = entra.only_request().request;
    assert_eq!(exchange.target, "/tenant-1/oauth2/v2.0/token");
    let form = form(&exchange);
    assert_eq!(field(&form, "grant_type"), "client_credentials");
    assert_eq!((field(&form, "client_id"), field(&form, "client_secret")), ("client-1", "CANARY-secret"));
    assert_eq!(field(&form, "scope"), "https://cognitiveservices.azure.com/.default");
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn a_key_of_azure_wins_over_an_identity() {
    let upstream = MockUpstream::good().await;
    let sandbox = azure(&upstream).env("AZURE_CLIENT_SECRET", "s").env("AZURE_OPENAI_API_KEY", "azure-key-1");
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, DEPLOYMENT).await.expect_status(200);
    let request = upstream.only_request().request;
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some("azure-key-1"), None));
}

#[tokio::test]
async fn a_workload_proves_itself_with_the_token_of_its_file() {
    let (upstream, entra) = (MockUpstream::good().await, MockUpstream::start([token(TOKEN)]).await);
    let sandbox = azure(&upstream).env("AZURE_AUTHORITY_HOST", &url(&entra));
    sandbox.write("pod.jwt", "pod.jwt.text\n");
    sandbox.write(
        "routeplane.yaml",
        "version: 1\nproviders:\n  azure: { credentials: { tenant_id: t, client_id: c, token_file: pod.jwt } }\n",
    );
    let daemon = sandbox.start(&[]).await;
    ask(&daemon, DEPLOYMENT).await.expect_status(200);
    let form = form(&entra.only_request().request);
    assert_eq!(field(&form, "client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(field(&form, "client_assertion"), "pod.jwt.text");
}

#[tokio::test]
async fn managed_identities_are_those_of_the_service_or_of_the_machine() {
    let upstream = MockUpstream::good().await;
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let until = until.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let metadata = MockUpstream::start([answer(200, &json!({ "access_token": TOKEN, "expires_on": until }))]).await;
    let service = azure(&upstream)
        .env("IDENTITY_ENDPOINT", &format!("{}/msi/token", url(&metadata)))
        .env("IDENTITY_HEADER", "header-secret")
        .env("AZURE_CLIENT_ID", "user-assigned");
    let daemon = service.start(&[]).await;
    ask(&daemon, DEPLOYMENT).await.expect_status(200);
    let machine = azure(&upstream).env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url(&metadata));
    machine.write("routeplane.yaml", "version: 1\nproviders:\n  azure: { auth: azure-entra }\n");
    let daemon = machine.start(&[]).await;
    ask(&daemon, DEPLOYMENT).await.expect_status(200);
    let asked: Vec<Request> = metadata.requests().into_iter().map(|record| record.request).collect();
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(asked[0].target, format!("/msi/token?api-version=2019-08-01&{resource}&client_id=user-assigned"));
    assert_eq!(asked[0].header("x-identity-header"), Some("header-secret"));
    assert_eq!(asked[1].target, format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{resource}"));
    assert_eq!(asked[1].header("metadata"), Some("true"));
}

#[tokio::test]
async fn entras_refusal_reaches_the_caller_with_its_reason() {
    let upstream = MockUpstream::good().await;
    let refusal =
        json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided." });
    let entra = MockUpstream::start([answer(401, &refusal)]).await;
    let sandbox = azure(&upstream)
        .env("AZURE_AUTHORITY_HOST", &url(&entra))
        .env("AZURE_TENANT_ID", "t")
        .env("AZURE_CLIENT_ID", "c")
        .env("AZURE_CLIENT_SECRET", "CANARY-secret");
    sandbox.write("routeplane.yaml", "version: 1\nproviders:\n  azure: {}\nretries: { attempts: 1 }\n");
    let daemon = sandbox.start(&[]).await;
    let answer = ask(&daemon, DEPLOYMENT).await.expect_status(503);
    assert!(answer.text().contains("AADSTS7000215"), "{answer:?}");
    keeps_secrets(&sandbox, &daemon, &[&answer]).await;
}
