//! Talks to a running gateway, over loopback and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Exit;
use super::daemon::{self, Instance};
use super::output::complain;
use crate::config::Env;

/// Which gateway is meant.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct AddressArg {
    /// The address of the gateway that is meant; needed only where several run
    #[arg(long, value_name = "ADDRESS")]
    pub(super) address: Option<SocketAddr>,
}

/// The running gateway that is meant.
///
/// # Errors
/// None is running, several are, or this user may not see it; it has been said.
pub(super) fn find(meant: AddressArg, env: &Env) -> Result<Instance, Exit> {
    let running = match daemon::folder(env).map(|folder| daemon::running(&folder)) {
        Some(Ok(running)) => running,
        Some(Err(error)) => {
            complain(format!("the state folder cannot be read: {error}"));
            return Err(if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Failed });
        }
        None => Vec::new(),
    };
    match meant.address {
        Some(address) => running.into_iter().find(|instance| instance.address == address).ok_or_else(|| {
            complain(format!("no gateway of this user runs at {address}; see `routeplane status`"));
            Exit::Unavailable
        }),
        None => only_one(running),
    }
}

fn only_one(running: Vec<Instance>) -> Result<Instance, Exit> {
    match <[Instance; 1]>::try_from(running) {
        Ok([instance]) => Ok(instance),
        Err(none) if none.is_empty() => {
            complain("no gateway is running; start one with `routeplane start --detach`");
            Err(Exit::Unavailable)
        }
        Err(several) => {
            let addresses: Vec<String> = several.iter().map(|instance| instance.address.to_string()).collect();
            complain(format!("several gateways are running; add `--address` with one of {}", addresses.join(", ")));
            Err(Exit::Usage)
        }
    }
}

/// Asks a gateway and returns status and body of its answer.
///
/// # Errors
/// It does not answer, or refuses this user; it has been said.
pub(super) fn ask(
    instance: &Instance,
    method: Method,
    path: &str,
    patience: Duration,
) -> Result<(StatusCode, Value), Exit> {
    ask_with(instance, method, (path, None), patience)
}

/// As [`ask`], with a body.
///
/// # Errors
/// As those of [`ask`].
pub(super) fn ask_with(
    instance: &Instance,
    method: Method,
    (path, body): (&str, Option<&Value>),
    patience: Duration,
) -> Result<(StatusCode, Value), Exit> {
    ask_quietly(instance, method, (path, body), patience).map_err(|(exit, problem)| {
        complain(problem);
        exit
    })
}

/// As [`ask_with`], for a screen on which nothing else may be written.
///
/// # Errors
/// As those of [`ask`], with what is to be said.
pub(super) fn ask_quietly(
    instance: &Instance,
    method: Method,
    (path, body): (&str, Option<&Value>),
    patience: Duration,
) -> Result<(StatusCode, Value), (Exit, String)> {
    let address = reachable(instance.address);
    let asked = runtime().and_then(|runtime| {
        runtime
            .block_on(send(instance, method, (&format!("http://{address}{path}"), body), patience))
            .map_err(|e| e.to_string())
    });
    match asked {
        Ok((status, _)) if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => {
            Err((Exit::Denied, format!("the gateway at {address} refuses this user")))
        }
        Ok(answer) => Ok(answer),
        Err(error) => Err((Exit::Unavailable, format!("the gateway at {address} does not answer: {error}"))),
    }
}

/// The gateway that runs where `gone` ran, if one does.
pub(super) fn successor(gone: &Instance, env: &Env) -> Option<Instance> {
    let running = daemon::running(&daemon::folder(env)?).ok()?;
    running.into_iter().find(|instance| instance.address == gone.address)
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

async fn send(
    instance: &Instance,
    method: Method,
    (url, body): (&str, Option<&Value>),
    patience: Duration,
) -> reqwest::Result<(StatusCode, Value)> {
    // The client wants a TLS provider to exist even where it only speaks HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .timeout(patience)
        .build()?;
    let request = client.request(method, url).header("x-routeplane-admin", "1").bearer_auth(&instance.token);
    let request = body
        .into_iter()
        .fold(request, |request, body| request.header("content-type", "application/json").body(body.to_string()));
    let answer = request.send().await?;
    let status = answer.status();
    Ok((status, answer.json().await?))
}

/// Where a gateway is reached from this machine: one that listens everywhere listens on loopback too.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
