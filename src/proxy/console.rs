//! The console: one page, its style and its programs, embedded. It shows what `/admin/` tells, and loads nothing from anywhere
//! else.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

const PAGE: &str = include_str!("console/index.html");
const STYLE: &str = include_str!("console/console.css");
/// In the order in which the page runs them.
const PROGRAMS: [(&str, &str); 5] = [
    ("/console/words.js", include_str!("console/words.js")),
    ("/console/requests.js", include_str!("console/requests.js")),
    ("/console/table.js", include_str!("console/table.js")),
    ("/console/views.js", include_str!("console/views.js")),
    ("/console/console.js", include_str!("console/console.js")),
];

/// Nothing from elsewhere, nothing inline, in no frame of another page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes. Who may see them is the caller's to say.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = Router::new()
        .route("/console", get(async || file("text/html; charset=utf-8", PAGE)))
        .route("/console/", get(async || Redirect::permanent("/console")))
        .route("/console/console.css", get(async || file("text/css; charset=utf-8", STYLE)));
    PROGRAMS.into_iter().fold(page, |page, (path, program)| {
        page.route(path, get(async move || file("text/javascript; charset=utf-8", program)))
    })
}

fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the gateway has another page.
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text)
}
