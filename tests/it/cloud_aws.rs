//! Bedrock with the identity of an AWS account: where the keys come from, and what becomes of them.

use std::time::{Duration, SystemTime};

use routeplane::provider::AwsScope;
use routeplane::state::Credential;
use routeplane::state::tokens::aws;
use routeplane::upstream::Pieces;
use serde_json::json;

use crate::http_client::{self, Response};
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

const MODEL: &str = "bedrock/amazon.nova-lite-v1:0";
const SECRET: &str = "SECRETCANARYwJalrXUtnFEMI";
const SESSION: &str = "SESSIONCANARYAQoDYXdzEPT";

fn json_answer(status: u16, body: &serde_json::Value) -> Act {
    Act::Respond { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

pub(crate) fn converse() -> Act {
    json_answer(
        200,
        &json!({
            "output": { "message": { "role": "assistant", "content": [{ "text": "Hello" }] } },
            "stopReason": "end_turn",
            "usage": { "inputTokens": 3, "outputTokens": 5, "totalTokens": 8 },
        }),
    )
}

fn refused(kind: &str) -> Act {
    let headers = vec![("x-amzn-errortype", kind.to_owned())];
    Act::Respond { status: 403, headers, body: br#"{"message":"The security token is not valid"}"#.to_vec() }
}

/// Keys as a metadata service hands them out, for an hour.
fn keys(id: &str) -> serde_json::Value {
    json!({
        "Code": "Success", "AccessKeyId": id, "SecretAccessKey": SECRET, "Token": SESSION, "Expiration": in_an_hour(),
    })
}

fn in_an_hour() -> String {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let parts: Vec<&str> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == parts[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4])
}

fn sts_keys(id: &str) -> Act {
    let body = format!(
        "<AssumeRoleResponse><Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>{SESSION}</SessionToken><Expiration>{}</Expiration></Credentials></Result></AssumeRoleResponse>",
        in_an_hour()
    );
    Act::Respond { status: 200, headers: vec![("content-type", "text/xml".to_owned())], body: body.into_bytes() }
}

/// A sandbox whose Bedrock is `upstream`, and no metadata service of the machine.
fn sandbox(upstream: &MockUpstream) -> Sandbox {
    let nowhere = crate::gateway::free_address();
    Sandbox::new()
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &format!("http://{}", upstream.address()))
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{nowhere}"))
}

fn with_keys(sandbox: Sandbox) -> Sandbox {
    sandbox.env("AWS_ACCESS_KEY_ID", "AKIDENV").env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", SESSION)
}

/// A file that only names the provider.
const FILE: &str = "version: 1\nproviders:\n  bedrock: {}\nretries: { attempts: 1 }\n";

async fn ask(daemon: &Daemon) -> Response {
    let body = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    http_client::request(daemon.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await
}

/// The access key that signed, after the signature was found to be right.
fn signer(request: &Request, service: &str) -> String {
    let authorization = request.header("authorization").unwrap();
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap_or_else(|| panic!("{authorization}"));
    let (id, rest) = rest.split_once('/').unwrap();
    let host = request.header("host").unwrap();
    let mut again = http::Request::new(Pieces::from(request.body.clone()));
    *again.method_mut() = request.method.parse().unwrap();
    *again.uri_mut() = format!("http://{host}{}", request.target).parse().unwrap();
    again.headers_mut().insert("content-type", request.header("content-type").unwrap().parse().unwrap());
    let session = request.header("x-amz-security-token").map(str::to_owned);
    let keys = Credential::aws(id.to_owned(), SECRET.to_owned(), session);
    let scope = AwsScope { region: "eu-west-1".into(), service: service.into() };
    aws::sign(&mut again, keys.aws_keys().unwrap(), &scope, moment(request)).unwrap();
    assert_eq!(again.headers()["authorization"], authorization);
    assert!(rest.contains(&format!("/eu-west-1/{service}/aws4_request")), "{authorization}");
    id.to_owned()
}

/// When a request says that it was signed.
fn moment(request: &Request) -> SystemTime {
    let date = request.header("x-amz-date").unwrap();
    let number = |range: std::ops::Range<usize>| date[range].parse::<u64>().unwrap();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = format!(
        "Sun, {:02} {} {} {:02}:{:02}:{:02} GMT",
        number(6..8),
        months[number(4..6) as usize - 1],
        number(0..4),
        number(9..11),
        number(11..13),
        number(13..15)
    );
    // The day of the week is not looked at when it is right; try all seven.
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    days.iter().find_map(|day| httpdate::parse_http_date(&text.replacen("Sun", day, 1)).ok()).unwrap()
}

/// What was printed, what is dumped and what the status says holds no secret.
async fn keeps_secrets(sandbox: &Sandbox, daemon: &Daemon, answers: &[&Response]) {
    let mut texts = vec![daemon.log(), daemon.stdout(), daemon.status().await.to_string()];
    texts.push(sandbox.run(&["explain", "--table"]).stdout);
    texts.push(sandbox.run(&["explain", "--table", "--format", "json"]).stdout);
    texts.extend(answers.iter().map(|answer| format!("{answer:?}")));
    for text in texts {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[tokio::test]
async fn keys_of_the_environment_activate_the_provider_and_sign() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox = with_keys(sandbox(&upstream));
    let daemon = sandbox.start(&[]).await;
    assert!(daemon.stdout().contains("bedrock (AWS_ACCESS_KEY_ID)"), "{}", daemon.stdout());
    let answer = ask(&daemon).await.expect_status(200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello");
    let request = upstream.only_request().request;
    assert_eq!(request.target, "/model/amazon.nova-lite-v1%3A0/converse");
    assert_eq!(signer(&request, "bedrock"), "AKIDENV");
    assert_eq!(request.header("x-amz-security-token"), Some(SESSION));
    keeps_secrets(&sandbox, &daemon, &[&answer]).await;
}

#[tokio::test]
async fn a_bedrock_api_key_wins_over_keys_that_sign() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox = with_keys(sandbox(&upstream)).env("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1");
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    assert_eq!(upstream.only_request().request.header("authorization"), Some("Bearer bedrock-api-key-1"));
}

#[tokio::test]
async fn keys_of_the_file_win_over_the_environment() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox =
        with_keys(sandbox(&upstream)).env("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1").env("MINE", SECRET);
    sandbox.write("id", "AKIDFILE\n");
    sandbox.write(
        "routeplane.yaml",
        "version: 1\nproviders:\n  bedrock:\n    region: eu-west-1\n    credentials: { access_key_id: file:id, secret_access_key: env:MINE }\n",
    );
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    let request = upstream.only_request().request;
    assert_eq!(signer(&request, "bedrock"), "AKIDFILE");
    assert_eq!(request.header("x-amz-security-token"), None);
}

#[tokio::test]
async fn profiles_hold_keys_programs_and_roles() {
    let upstream = MockUpstream::start([converse()]).await;
    let sts = MockUpstream::start([sts_keys("ASIAROLE")]).await;
    let sandbox = sandbox(&upstream)
        .env("AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address()))
        .env("PATH", "/usr/bin:/bin");
    sandbox.write(
        ".aws/credentials",
        &format!("[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = {SECRET}\n"),
    );
    sandbox.write(
        "keys.json",
        &json!({ "Version": 1, "AccessKeyId": "AKIDPROGRAM", "SecretAccessKey": SECRET }).to_string(),
    );
    sandbox.write(
        ".aws/config",
        "[profile dev]\nrole_arn = arn:aws:iam::1:role/dev\nsource_profile = default\nexternal_id = e1\n\
         [profile tool]\ncredential_process = cat keys.json\n[profile self]\nrole_arn = r\nsource_profile = other\n\
         [profile other]\nrole_arn = r\nsource_profile = self\n[profile browser]\nsso_session = s\n",
    );
    let provider = |name: &str, profile: &str| {
        let url = format!("http://{}", upstream.address());
        format!(
            "  {name}: {{ protocol: bedrock-converse, base_url: \"{url}\", auth: aws-sigv4, region: eu-west-1, credentials: \
             {{ profile: {profile} }} }}\n"
        )
    };
    let all = ["default", "dev", "tool", "self", "browser", "none"];
    let providers: String = all.iter().map(|profile| provider(&format!("as-{profile}"), profile)).collect();
    sandbox.write("routeplane.yaml", &format!("version: 1\nproviders:\n{providers}retries: {{ attempts: 1 }}\n"));
    let daemon = sandbox.start(&[]).await;
    let ask = async |profile: &str| {
        let body = json!({ "model": format!("as-{profile}/m"), "messages": [{ "role": "user", "content": "hi" }] });
        let body = body.to_string();
        http_client::request(daemon.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await
    };
    for (profile, id) in [("default", "AKIDDEFAULT"), ("dev", "ASIAROLE"), ("tool", "AKIDPROGRAM")] {
        ask(profile).await.expect_status(200);
        assert_eq!(signer(&upstream.requests().last().unwrap().request, "bedrock"), id);
    }
    let role = sts.only_request().request;
    assert_eq!(signer(&role, "sts"), "AKIDDEFAULT");
    assert!(role.text().contains("Action=AssumeRole&") && role.text().contains("ExternalId=e1"), "{role:?}");
    for (profile, expected) in [
        ("self", "takes its keys from itself"),
        ("browser", "credential_process = aws configure export-credentials --profile browser"),
        ("none", "there is no profile `none`"),
    ] {
        let answer = ask(profile).await.expect_status(503);
        assert!(answer.text().contains(expected), "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "no_provider_token");
    }
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn a_web_identity_is_exchanged_once_and_survives_a_reload() {
    let upstream = MockUpstream::start([converse()]).await;
    let sts = MockUpstream::start([sts_keys("ASIAWEB")]).await;
    let sandbox = sandbox(&upstream)
        .env("AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address()))
        .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod");
    let token = sandbox.write("token", "jwt.of.the.pod\n");
    let sandbox = sandbox.env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    sandbox.write("routeplane.yaml", FILE);
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    ask(&daemon).await.expect_status(200);
    sandbox.write("routeplane.yaml", &format!("{FILE}presets: {{ p: demo/chat }}\n"));
    daemon.reload().await.expect_status(200);
    ask(&daemon).await.expect_status(200);
    let exchange = sts.only_request().request;
    assert_eq!(exchange.header("authorization"), None);
    let form = exchange.text();
    assert!(
        form.contains("Action=AssumeRoleWithWebIdentity&") && form.contains("WebIdentityToken=jwt.of.the.pod"),
        "{form}"
    );
    assert!(form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fpod"), "{form}");
    assert!(upstream.requests().iter().all(|record| signer(&record.request, "bedrock") == "ASIAWEB"));
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn a_container_gives_keys_for_its_token() {
    let upstream = MockUpstream::start([converse()]).await;
    let endpoint = MockUpstream::start([json_answer(200, &keys("ASIAPOD"))]).await;
    let sandbox = sandbox(&upstream)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{}/v1/credentials", endpoint.address()));
    let token = sandbox.write("token", "pod-token\n");
    let sandbox = sandbox.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap());
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    assert_eq!(signer(&upstream.only_request().request, "bedrock"), "ASIAPOD");
    let asked = endpoint.only_request().request;
    assert_eq!((asked.target.as_str(), asked.header("authorization")), ("/v1/credentials", Some("pod-token")));
}

#[tokio::test]
async fn a_containers_token_goes_to_no_stranger() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox = sandbox(&upstream)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/steal")
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "CANARY-token");
    let daemon = sandbox.start(&[]).await;
    let answer = ask(&daemon).await.expect_status(503);
    assert!(answer.text().contains("names `example.com`, which is no endpoint of a container"), "{answer:?}");
    keeps_secrets(&sandbox, &daemon, &[&answer]).await;
}

#[tokio::test]
async fn the_instance_is_asked_by_the_second_version_of_its_metadata() {
    let upstream = MockUpstream::start([converse()]).await;
    let metadata = MockUpstream::start([
        Act::Respond { status: 200, headers: Vec::new(), body: b"imds-session".to_vec() },
        Act::Respond { status: 200, headers: Vec::new(), body: b"my-role\n".to_vec() },
        json_answer(200, &keys("ASIAINSTANCE")),
    ])
    .await;
    let sandbox = Sandbox::new()
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &format!("http://{}", upstream.address()))
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{}", metadata.address()));
    sandbox.write("routeplane.yaml", FILE);
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    assert_eq!(signer(&upstream.only_request().request, "bedrock"), "ASIAINSTANCE");
    let asked: Vec<Request> = metadata.requests().into_iter().map(|record| record.request).collect();
    let lines: Vec<String> = asked.iter().map(|request| format!("{} {}", request.method, request.target)).collect();
    let roles = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(lines, ["PUT /latest/api/token", &format!("GET {roles}"), &format!("GET {roles}my-role")]);
    assert_eq!(asked[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert!(asked[1..].iter().all(|request| request.header("x-aws-ec2-metadata-token") == Some("imds-session")));
    keeps_secrets(&sandbox, &daemon, &[]).await;
}

#[tokio::test]
async fn keys_that_the_upstream_refuses_are_looked_for_again_once() {
    let upstream = MockUpstream::start([refused("ExpiredTokenException"), converse()]).await;
    let endpoint = MockUpstream::start([json_answer(200, &keys("ASIAOLD")), json_answer(200, &keys("ASIANEW"))]).await;
    let sandbox =
        sandbox(&upstream).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{}/c", endpoint.address()));
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    let signers: Vec<String> = upstream.requests().iter().map(|record| signer(&record.request, "bedrock")).collect();
    assert_eq!(signers, ["ASIAOLD", "ASIANEW"]);
}

#[tokio::test]
async fn keys_that_stay_refused_are_an_error_that_says_so() {
    let upstream = MockUpstream::start([refused("UnrecognizedClientException")]).await;
    let sandbox = with_keys(sandbox(&upstream));
    sandbox.write("routeplane.yaml", FILE);
    let daemon = sandbox.start(&[]).await;
    let answer = ask(&daemon).await.expect_status(502);
    assert_eq!(answer.json()["error"]["code"], "upstream_auth");
    assert_eq!(upstream.requests().len(), 1, "the same keys would be refused again");
    keeps_secrets(&sandbox, &daemon, &[&answer]).await;
}

#[tokio::test]
async fn a_signature_of_the_wrong_hour_is_made_anew_by_the_clouds_clock() {
    let hour_ahead = SystemTime::now() + Duration::from_secs(3600);
    let headers = vec![
        ("x-amzn-errortype", "InvalidSignatureException".to_owned()),
        ("date", httpdate::fmt_http_date(hour_ahead)),
    ];
    let late = Act::Respond { status: 403, headers, body: br#"{"message":"Signature expired"}"#.to_vec() };
    let upstream = MockUpstream::start([late, converse()]).await;
    let sandbox = with_keys(sandbox(&upstream));
    let daemon = sandbox.start(&[]).await;
    ask(&daemon).await.expect_status(200);
    ask(&daemon).await.expect_status(200);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "the difference is remembered");
    let ahead =
        |at: usize| moment(&requests[at].request).duration_since(moment(&requests[0].request)).unwrap().as_secs();
    assert!((3590..3700).contains(&ahead(1)) && (3590..3700).contains(&ahead(2)), "{} {}", ahead(1), ahead(2));
    assert_eq!(signer(&requests[1].request, "bedrock"), "AKIDENV");
}

#[tokio::test]
async fn a_session_token_that_the_upstream_repeats_is_redacted() {
    let upstream = MockUpstream::start([Act::EchoHeaders(500)]).await;
    let sandbox = with_keys(sandbox(&upstream));
    sandbox.write("routeplane.yaml", FILE);
    let daemon = sandbox.start(&[]).await;
    let answer = ask(&daemon).await.expect_status(500);
    assert!(answer.text().contains("[redacted]"), "{answer:?}");
    keeps_secrets(&sandbox, &daemon, &[&answer]).await;
}

#[tokio::test]
async fn without_any_keys_the_answer_says_what_to_set() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox = sandbox(&upstream).env("AWS_EC2_METADATA_DISABLED", "true");
    sandbox.write("routeplane.yaml", FILE);
    let daemon = sandbox.start(&[]).await;
    let answer = ask(&daemon).await.expect_status(503);
    assert!(answer.text().contains("no AWS credentials: set `AWS_ACCESS_KEY_ID`"), "{answer:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn headers_that_a_preset_sets_are_there_and_do_not_break_the_signature() {
    let upstream = MockUpstream::start([converse()]).await;
    let sandbox = with_keys(sandbox(&upstream));
    sandbox.write(
        "routeplane.yaml",
        &format!("{FILE}presets:\n  p: {{ route: {MODEL}, headers: {{ set: {{ x-amzn-bedrock-trace: ENABLED, x-amz-thing: t }} }} }}\n"),
    );
    let daemon = sandbox.start(&[]).await;
    let body = json!({ "model": "@p", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    http_client::request(daemon.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await.expect_status(200);
    let request = upstream.only_request().request;
    assert_eq!(request.header("x-amz-thing"), Some("t"));
    assert!(request.header("authorization").unwrap().contains("host;x-amz-date;x-amz-security-token;x-amz-thing,"));
}
