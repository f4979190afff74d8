//! Keys of the machine: the endpoint of a container (ECS, EKS Pod Identity) and the instance metadata service, in its second
//! version only: the first answers whoever can make this process send a `GET`.

use http::{Method, Uri};

use super::super::read_file;
use super::super::web::{request, secure};
use super::{Chain, Keys};

const CONTAINER: &str = "http://169.254.170.2";
/// Hosts without TLS that a container's endpoint may have besides loopback.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
const INSTANCE: &str = "http://169.254.169.254";
const INSTANCE_V6: &str = "http://[fd00:ec2::254]";
const SESSION: &str = "21600";

/// `None` where no variable names an endpoint.
pub(super) async fn of_container(chain: &Chain) -> Result<Option<Keys>, String> {
    let env = &chain.env;
    let url = match (env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        (Some(path), _) => format!("{CONTAINER}{path}"),
        (None, Some(url)) => allowed(url)?,
        (None, None) => return Ok(None),
    };
    let token = match (env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"))
    {
        (Some(file), _) => read_file(file.into()).await?,
        (None, token) => token.map(str::to_owned),
    };
    let header = token.as_deref().map(|token| ("authorization", token.trim()));
    let reply = chain.web.get(&url, header.as_slice()).await?;
    if !reply.status.is_success() {
        return Err(format!("the container's endpoint answers {}", reply.status));
    }
    Keys::from_json(&reply.json()).map(Some).map_err(|problem| format!("the container's endpoint: {problem}"))
}

/// Refuses what would send the container's token to somebody else in the clear.
fn allowed(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "`AWS_CONTAINER_CREDENTIALS_FULL_URI` is not a URL".to_owned())?;
    let host = uri.host().unwrap_or_default();
    if CONTAINER_HOSTS.contains(&host) || secure(url).is_ok() {
        return Ok(url.to_owned());
    }
    Err(format!(
        "`AWS_CONTAINER_CREDENTIALS_FULL_URI` names `{host}`, which is no endpoint of a container; use `https`"
    ))
}

/// The keys of the instance's role.
pub(super) async fn of_instance(chain: &Chain) -> Result<Keys, String> {
    let env = &chain.env;
    if env.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("`AWS_EC2_METADATA_DISABLED` is set".to_owned());
    }
    let v6 = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let default = if v6 { INSTANCE_V6 } else { INSTANCE };
    let service = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(default).trim_end_matches('/');
    let begin = [("x-aws-ec2-metadata-token-ttl-seconds", SESSION)];
    let begin = request(Method::PUT, &format!("{service}/latest/api/token"), &begin, Default::default())?;
    let session = chain.web.send(begin).await?;
    if !session.status.is_success() {
        return Err(format!("the metadata service answers {}", session.status));
    }
    let header = [("x-aws-ec2-metadata-token", session.text().trim())];
    let roles = format!("{service}/latest/meta-data/iam/security-credentials/");
    let role = chain.web.get(&roles, &header).await?;
    let name = role.text().lines().next().map(str::trim).filter(|name| role.status.is_success() && !name.is_empty());
    let name = name.ok_or("the instance has no role")?;
    let reply = chain.web.get(&format!("{roles}{}", super::super::web::escaped(name)), &header).await?;
    if !reply.status.is_success() {
        return Err(format!("the metadata service answers {} for the instance's role", reply.status));
    }
    Keys::from_json(&reply.json()).map_err(|problem| format!("the metadata service: {problem}"))
}
