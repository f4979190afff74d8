//! AWS's Security Token Service: short-lived keys of a role. Its answers are XML.

use std::path::PathBuf;
use std::time::SystemTime;

use super::super::read_file;
use super::super::web::{form_request, secure, short};
use super::{Chain, Keys, lifetime, sign};
use crate::provider::AwsScope;

const VERSION: &str = "2011-06-15";

/// The keys of `role` for the token that somebody keeps fresh in a file.
pub(super) async fn with_web_identity(chain: &Chain, role: &str, file: PathBuf) -> Result<Keys, String> {
    let shown = file.display().to_string();
    let token = read_file(file).await?.ok_or_else(|| format!("the token file `{shown}` is not there"))?;
    let session = chain.env.get("AWS_ROLE_SESSION_NAME").unwrap_or("routeplane");
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.trim()),
    ];
    let reply = chain.web.post_form(&secure(&address(chain))?, &form).await?;
    read(reply.status.is_success(), reply.text(), role)
}

/// The keys of `role`, asked for with other keys.
pub(super) async fn with_keys(
    chain: &Chain,
    role: &str,
    (session, external_id): (Option<&str>, Option<&str>),
    keys: Keys,
) -> Result<Keys, String> {
    let mut form = vec![
        ("Action", "AssumeRole"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", session.unwrap_or("routeplane")),
    ];
    form.extend(external_id.map(|id| ("ExternalId", id)));
    let mut request = form_request(&secure(&address(chain))?, &form)?;
    let keys = aws_credential_types::Credentials::new(keys.id, keys.secret, keys.session, None, "routeplane");
    let scope = AwsScope { region: chain.region.clone(), service: "sts".into() };
    sign(&mut request, &keys, &scope, SystemTime::now())?;
    let reply = chain.web.send(request).await?;
    read(reply.status.is_success(), reply.text(), role)
}

/// `AWS_ENDPOINT_URL_STS`, or the region's own.
fn address(chain: &Chain) -> String {
    match chain.env.get("AWS_ENDPOINT_URL_STS").or_else(|| chain.env.get("AWS_ENDPOINT_URL")) {
        Some(url) => format!("{}/", url.trim_end_matches('/')),
        None if chain.region.starts_with("cn-") => format!("https://sts.{}.amazonaws.com.cn/", chain.region),
        None => format!("https://sts.{}.amazonaws.com/", chain.region),
    }
}

fn read(success: bool, xml: &str, role: &str) -> Result<Keys, String> {
    if !success {
        let code = element(xml, "Code").unwrap_or("an error that cannot be read");
        let message = element(xml, "Message").unwrap_or_default();
        return Err(format!("STS refuses the role `{role}`: {} {}", short(code), short(message)));
    }
    let part = |name| element(xml, name).map(str::to_owned).ok_or_else(|| format!("the answer of STS has no `{name}`"));
    Ok(Keys {
        id: part("AccessKeyId")?,
        secret: part("SecretAccessKey")?,
        session: Some(part("SessionToken")?),
        lifetime: Some(lifetime(&part("Expiration")?)?),
    })
}

/// The text of the first element of that name. What is read here holds no markup.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim()).filter(|text| !text.is_empty())
}
