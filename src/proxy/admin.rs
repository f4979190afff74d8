//! Everything that is no model call: health, metrics, the configuration's status, and reloads.
//!
//! Who may do what:
//!
//! | path | who |
//! |---|---|
//! | `/livez`, `/readyz` | everybody: probes come from other machines, under any name |
//! | `/metrics` | this machine; others with a client key |
//! | `/console` | this machine, as `/admin/*` but for the token, which the page asks its reader for; where a key is for it, every machine: the page itself holds nothing |
//! | `/admin/*` | this machine, by a loopback name, not through a proxy and not from a web page of another origin; where the file asks for client keys, only with the token that the gateway wrote into its state file (0600). Or whoever shows a client key with `admin: true`, in a header: from any machine, under any name, through a proxy |
//!
//! Another client key opens no `/admin/`: who may call a model may not reload the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::console;
use super::explain::{self, Pretended};
use super::guard;
use crate::config::decode::leaf::parse_duration;
use crate::live::reload::{Handle, Verdict};
use crate::live::status::Board;
use crate::live::{Live, LiveTable};
use crate::table::{ClientKey, Condition, Vitals, dump};
use crate::telemetry::exposition;
use crate::telemetry::metrics::ReloadResult;
use crate::telemetry::{Sinks, recent};

/// Longest wait for a reload that a caller may ask for.
const MOST_WAIT: Duration = Duration::from_secs(60);
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// Requests that are listed where nobody says how many.
const DEFAULT_LISTED: usize = 100;
/// Headers by which proxies say that they passed a request on.
pub(super) const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// What the side router works with.
#[derive(Clone)]
pub struct AdminState {
    pub live: Arc<LiveTable>,
    pub board: Arc<Board>,
    pub reloads: Handle,
    /// Opens `/admin/` where client keys are asked for.
    pub token: Arc<str>,
    /// Has the last requests.
    pub sinks: Arc<Sinks>,
}

/// The router of everything that is no model call. The service in front of it puts a [`ConnectInfo<SocketAddr>`] with the
/// peer's address into each request; without one, nobody is taken for local.
pub fn router(state: AdminState) -> Router {
    let admin = Router::new()
        .route("/admin/config/status", get(status))
        .route("/admin/health", get(health))
        .route("/admin/reload", post(reload))
        .route("/admin/explain", post(explain))
        .route("/admin/requests", get(requests))
        .route("/admin/spend", get(spend))
        .route("/admin/reloads", get(reloads))
        .route("/admin/table", get(table))
        .layer(middleware::from_fn_with_state(state.clone(), only_the_operator));
    Router::new()
        .merge(admin)
        .merge(console::router().layer(middleware::from_fn_with_state(state.clone(), whoever_may_look)))
        .route("/", get(index))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(unknown_path)
        .with_state(state)
}

async fn unknown_path() -> Response {
    refusal(StatusCode::NOT_FOUND, "there is nothing at this path; GET / lists the paths that there are")
}

async fn index() -> Json<Value> {
    Json(json!({
        "name": "routeplane",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": [
            "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens", "/v1/models",
            "/v1beta/models/{model}:generateContent", "/model/{model}/converse", "/v1/files", "/v1/batches", "/console", "/livez",
            "/readyz", "/metrics",
        ],
    }))
}

/// 200 as long as requests are taken, also while the file is refused: what was good goes on serving.
async fn ready(State(state): State<AdminState>) -> Response {
    let now = state.board.status();
    let code = if now.draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = json!({
        "status": if now.draining { "draining" } else { "ready" },
        "generation": now.active.generation,
        "config_drift": now.drift,
        "watch_mode": now.watch.mode,
        "watch_detail": now.watch.detail,
    });
    (code, Json(body)).into_response()
}

async fn metrics(State(state): State<AdminState>, request: Request) -> Response {
    let live = state.live.load();
    let known = !live.table.keys.is_empty() && guard::client_key(&live, request.headers(), request.uri()).is_ok();
    if !is_local(&request) && !known {
        return refusal(StatusCode::FORBIDDEN, "metrics are for this machine, or for the holder of a client key");
    }
    let (kind, text) = exposition::negotiated(request.headers(), state.board.metrics().render());
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn status(State(state): State<AdminState>) -> Response {
    let now = state.board.status();
    let mut body = json!(now);
    if let Some(members) = body.as_object_mut() {
        let cooling = targets(&state.live.load(), |vitals| vitals.condition != Condition::Up);
        members.insert("cooling".to_owned(), cooling);
        members.insert("tokens".to_owned(), tokens(&state.live.load()));
        members.insert("limited_subjects".to_owned(), json!(state.live.load().runtime.limits.buckets()));
        members.insert("ended_keys".to_owned(), ended_keys(&state.live.load()));
    }
    ([(ETAG, now.etag())], Json(body)).into_response()
}

/// Client keys that open nothing any more, and why.
fn ended_keys(live: &Live) -> Value {
    let ended = |key: &ClientKey| Some(json!({ "key": key.id, "why": guard::ended(key, super::now())? }));
    live.table.keys.iter().filter_map(ended).collect()
}

/// How every target does that anything is known of.
async fn health(State(state): State<AdminState>) -> Response {
    let live = state.live.load();
    Json(json!({ "generation": live.generation, "targets": targets(&live, |_| true) })).into_response()
}

fn targets(live: &Live, shown: impl Fn(&Vitals) -> bool) -> Value {
    let known = live.runtime.health.report(&live.table);
    let shown = known.iter().filter(|(_, vitals)| shown(vitals));
    shown.map(|(target, vitals)| vitals.json(target)).collect()
}

/// The credentials of clouds: by whom they are held, for how long, and why there are none.
fn tokens(live: &Live) -> Value {
    let providers = live.table.providers.iter().zip(&live.runtime.providers);
    let standings = providers.filter_map(|(provider, state)| {
        let mut standing = json!(state.tokens.as_ref()?.standing());
        standing.as_object_mut()?.insert("provider".to_owned(), json!(provider.name));
        Some(standing)
    });
    standings.collect()
}

#[derive(Deserialize)]
struct RequestsQuery {
    /// Only records behind this number.
    after: Option<u64>,
    /// At most so many, the newest.
    limit: Option<usize>,
}

/// The last model calls, newest first, each with its number.
async fn requests(State(state): State<AdminState>, Query(query): Query<RequestsQuery>) -> Response {
    let most = query.limit.unwrap_or(DEFAULT_LISTED).min(recent::KEPT);
    let listed = state.sinks.recent().json(query.after.unwrap_or(0), most);
    let body = [&b"{\"requests\":"[..], &listed, b"}"].concat();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// What was spent since the start, by client key, model and route.
async fn spend(State(state): State<AdminState>) -> Response {
    Json(state.sinks.spend().books()).into_response()
}

/// The last reloads that changed something or were refused, newest first.
async fn reloads(State(state): State<AdminState>) -> Response {
    Json(json!({ "reloads": state.board.history() })).into_response()
}

/// The table that is live.
async fn table(State(state): State<AdminState>) -> Response {
    let live = state.live.load();
    Json(json!({ "generation": live.generation, "table": dump::json(&live.table) })).into_response()
}

#[derive(Deserialize)]
struct ReloadQuery {
    wait: Option<String>,
}

async fn reload(State(state): State<AdminState>, Query(query): Query<ReloadQuery>) -> Response {
    let wait = match query.wait.as_deref().map(parse_duration) {
        None => DEFAULT_WAIT,
        Some(Some(wait)) => wait.min(MOST_WAIT),
        Some(None) => return refusal(StatusCode::BAD_REQUEST, "`wait` must be a duration, such as `5s`"),
    };
    match state.reloads.reload(wait).await {
        Some(verdict) => answer(&verdict),
        None => (StatusCode::ACCEPTED, Json(json!({ "result": "running" }))).into_response(),
    }
}

/// Where a request would go, by the table that is live.
async fn explain(State(state): State<AdminState>, Json(asked): Json<Value>) -> Response {
    let live = state.live.load();
    let explained = Pretended::from_json(asked).and_then(|pretended| {
        explain::request(&live.table, &pretended, &live.runtime.health, |explanation| {
            json!({
                "generation": live.generation,
                "explanation": explanation.json(),
                "text": explanation.to_string(),
            })
        })
    });
    match explained {
        Ok(explanation) => Json(explanation).into_response(),
        Err(problem) => refusal(StatusCode::BAD_REQUEST, &problem),
    }
}

fn answer(verdict: &Verdict) -> Response {
    let result = if verdict.coalesced { ReloadResult::Coalesced } else { verdict.result };
    match verdict.result {
        ReloadResult::Nack => {
            let body = json!({
                "result": result.name(),
                "errors": verdict.errors,
                "active_generation": verdict.generation,
                "active_id": verdict.id,
            });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
        ReloadResult::Ack | ReloadResult::Noop | ReloadResult::Coalesced => Json(json!({
            "result": if verdict.result == ReloadResult::Noop { ReloadResult::Noop.name() } else { result.name() },
            "generation": verdict.generation,
            "id": verdict.id,
            "changed": verdict.changes,
        }))
        .into_response(),
    }
}

/// Lets through whoever may look at the page: what it shows it asks for by itself, and needs the token or a key for.
async fn whoever_may_look(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let elsewhere = state.live.load().table.keys.iter().any(|key| key.admin);
    match why_not_local(&request) {
        Some(why) if !elsewhere => refusal(StatusCode::FORBIDDEN, why),
        _ => next.run(request).await,
    }
}

/// Lets through whoever operates this gateway: from this machine, or with a key for it.
async fn only_the_operator(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let (keys, elsewhere, admin) = {
        let live = state.live.load();
        let keys = &live.table.keys;
        (!keys.is_empty(), keys.iter().any(|key| key.admin), guard::has_admin_key(&live, headers))
    };
    let why = why_not_local(&request).filter(|_| !elsewhere).or_else(|| why_not_meant(&request));
    if let Some(why) = why {
        return refusal(StatusCode::FORBIDDEN, why);
    }
    let here = why_not_local(&request).is_none();
    // The page of another machine asks its reader for a key, as that of this one for the token.
    if !admin && !(here && (!keys || has_token(headers, &state.token))) {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        let why = if here {
            "the file asks for client keys, so this needs the token in the gateway's state file, which `routeplane status` and \
             `routeplane reload` send, or a client key with `admin: true`"
        } else {
            "from here this needs a client key with `admin: true`, as `Authorization: Bearer KEY`"
        };
        return (challenge, refusal(StatusCode::UNAUTHORIZED, why)).into_response();
    }
    next.run(request).await
}

/// Why a request does not come from whoever sits at this machine.
fn why_not_local(request: &Request) -> Option<&'static str> {
    let headers = request.headers();
    if !is_local(request) {
        Some("this is for the machine on which the gateway runs, and for client keys with `admin: true`")
    } else if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        Some("this is not for requests that came through a proxy, without a client key with `admin: true`")
    } else if !has_loopback_host(headers) {
        Some("the request's `Host` must be `localhost` or a loopback address, without a client key with `admin: true`")
    } else {
        why_not_own_page(headers)
    }
}

fn why_not_own_page(headers: &HeaderMap) -> Option<&'static str> {
    is_foreign_page(headers).then_some("this is not for web pages of another origin")
}

/// Why a request may have been sent without anybody's wish.
fn why_not_meant(request: &Request) -> Option<&'static str> {
    let deliberate = *request.method() != Method::POST || is_deliberate(request.headers());
    why_not_own_page(request.headers())
        .or_else(|| (!deliberate).then_some("send `content-type: application/json` or `x-routeplane-admin: 1`"))
}

fn is_local(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
}

fn has_loopback_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    hosts.next().is_none() && host.is_some_and(guard::is_loopback_authority)
}

/// Browsers say whence a request comes; programs do not.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
        || headers.get_all("origin").iter().any(|origin| !is_own_origin(origin.as_bytes(), headers.get(HOST)))
}

fn is_own_origin(origin: &[u8], host: Option<&axum::http::HeaderValue>) -> bool {
    // A proxy in front may speak TLS.
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(|authority| host.is_some_and(|host| host.as_bytes() == authority))
}

/// A page can send forms and plain text to anybody without being asked; neither of these goes without a question.
fn is_deliberate(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let json = media_type.is_some_and(|value| {
        value
            .split(|&byte| byte == b';')
            .next()
            .is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    });
    json || headers.contains_key("x-routeplane-admin")
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Without a token there is nothing to present.
    !token.is_empty() && presented.is_some_and(|presented| bool::from(presented.ct_eq(token.as_bytes())))
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(peer: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method("POST").uri("/admin/reload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        request
    }

    #[test]
    fn only_this_machine_on_purpose_is_the_operator() {
        let why_not = |request: &Request| why_not_local(request).or_else(|| why_not_meant(request));
        let local = "127.0.0.1:50000";
        let host = ("host", "127.0.0.1:4356");
        let json = ("content-type", "application/json");
        let allowed: [(&str, &[(&str, &str)]); 6] = [
            (local, &[host, json]),
            (local, &[host, ("content-type", "application/json; charset=utf-8")]),
            (local, &[host, ("x-routeplane-admin", "1")]),
            ("[::1]:50000", &[("host", "[::1]:4356"), json]),
            ("[::ffff:127.0.0.1]:50000", &[host, json]),
            (local, &[host, json, ("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:4356")]),
        ];
        for (peer, headers) in allowed {
            assert_eq!(why_not(&request(peer, headers)), None, "{peer} {headers:?}");
        }
        let refused: [(&str, &[(&str, &str)]); 13] = [
            ("10.0.0.7:50000", &[host, json]),
            ("[::ffff:10.0.0.7]:50000", &[host, json]),
            (local, &[host]),
            (local, &[host, ("content-type", "text/plain")]),
            (local, &[json]),
            (local, &[host, host, json]),
            (local, &[("host", "127.0.0.1.evil.com"), json]),
            (local, &[("host", "gateway.example"), json]),
            (local, &[host, json, ("x-forwarded-for", "10.0.0.7")]),
            (local, &[host, json, ("via", "1.1 proxy")]),
            (local, &[host, json, ("sec-fetch-site", "cross-site")]),
            (local, &[host, json, ("origin", "null")]),
            (local, &[host, json, ("origin", "http://localhost:3000")]),
        ];
        for (peer, headers) in refused {
            assert!(why_not(&request(peer, headers)).is_some(), "{peer} {headers:?}");
        }
        let mut nobody = request(local, &[host, json]);
        nobody.extensions_mut().clear();
        assert!(why_not(&nobody).is_some());
    }
}
