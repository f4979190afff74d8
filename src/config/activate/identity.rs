//! Who a provider is asked as, where that is no key but an account of its cloud.

use http::HeaderName;

use super::base_url::region;
use super::{Layers, Problem, secret_ref};
use crate::config::Env;
use crate::config::document::{CredentialsEntry, EnvEntry, LiteralSecret, ProviderEntry};
use crate::provider::identity::{Cloud, CloudIdentity, Credentials};
use crate::provider::{AuthScheme, AwsScope, BaseUrl, Endpoint};
use crate::source::Spanned;

/// What there is to authenticate with, as far as file and environment say. Files and metadata services may hold more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Material {
    key: bool,
    identity: bool,
}

impl Material {
    pub(super) fn of(layers: Layers<'_>, env: &Env) -> Material {
        let variables = layers.pick(|entry| entry.env.as_ref());
        let is_set = |names: fn(&EnvEntry) -> &Vec<Spanned<String>>| {
            variables.is_some_and(|entry| names(entry).iter().any(|name| env.get(&name.value).is_some()))
        };
        let written = layers.user.is_some_and(|user| user.keys.as_ref().is_some_and(|keys| !keys.is_empty()));
        let identity = layers.pick(|entry| entry.credentials.as_ref()).is_some();
        Material {
            // Who writes down an identity does not mean a key that happens to be in the environment.
            key: written || !identity && is_set(|entry| &entry.key),
            identity: identity || is_set(|entry| &entry.identity),
        }
    }
}

/// The first scheme of a list whose material is there; without any, the last.
pub(super) fn choose(
    written: &[Spanned<String>],
    material: Material,
    base_url: &BaseUrl,
    (layers, env): (Layers<'_>, &Env),
) -> Result<AuthScheme, Problem> {
    let mut chosen = AuthScheme::None;
    for text in written {
        chosen = scheme(text, || region(base_url, layers, env))?;
        let there = match &chosen {
            AuthScheme::None => true,
            AuthScheme::Bearer | AuthScheme::Header(_) => material.key,
            AuthScheme::AwsSigV4(_) | AuthScheme::GoogleOauth | AuthScheme::AzureEntra => material.identity,
            AuthScheme::Unsupported(_) => false,
        };
        if there {
            break;
        }
    }
    Ok(chosen)
}

fn scheme(text: &Spanned<String>, region: impl FnOnce() -> String) -> Result<AuthScheme, Problem> {
    match text.value.as_str() {
        "bearer" => Ok(AuthScheme::Bearer),
        "none" => Ok(AuthScheme::None),
        "aws-sigv4" => Ok(AuthScheme::AwsSigV4(AwsScope { region: region().into(), service: "bedrock".into() })),
        "google-oauth" => Ok(AuthScheme::GoogleOauth),
        "azure-entra" => Ok(AuthScheme::AzureEntra),
        other => match other.strip_prefix("header:").map(str::parse::<HeaderName>) {
            Some(Ok(name)) => Ok(AuthScheme::Header(name)),
            Some(Err(_)) => Err(Problem::invalid(
                text.span,
                format!("`{other}` does not name a header"),
                "write `header:` and a name, such as `header:x-api-key`",
            )),
            None => Err(Problem::invalid(
                text.span,
                format!("`{other}` is not a way to authenticate"),
                "write `bearer`, `none`, `header:NAME`, `aws-sigv4`, `google-oauth` or `azure-entra`",
            )),
        },
    }
}

/// The identity that the endpoints need; secrets that are written in the file move to `literals`.
pub(super) fn identity(
    layers: Layers<'_>,
    endpoints: &[Endpoint],
    env: &Env,
    literals: &mut Vec<LiteralSecret>,
) -> Result<Option<CloudIdentity>, Problem> {
    let entry = layers.pick(|entry| entry.credentials.as_ref());
    let Some((endpoint, cloud)) = endpoints.iter().find_map(|endpoint| Some((endpoint, endpoint.auth.cloud()?))) else {
        let usable = endpoints.iter().all(|endpoint| !matches!(endpoint.auth, AuthScheme::Unsupported(_)));
        return match layers.user.filter(|user| user.credentials.is_some() && usable) {
            Some(user) => Err(unused(user)),
            None => Ok(None),
        };
    };
    if let Some(other) = endpoints.iter().find_map(|other| other.auth.cloud().filter(|other| *other != cloud)) {
        return Err(Problem::Invalid {
            span: layers.span(),
            message: format!("one provider cannot be asked as {} and as {}", cloud.title(), other.title()),
            help: "make it two providers, each with its own `auth`".to_owned(),
        });
    }
    if let Some(entry) = entry {
        complete(entry, cloud)?;
    }
    let region = region(&endpoint.base_url, layers, env).into();
    let credentials = entry.map(|entry| credentials(entry, literals)).unwrap_or_default();
    Ok(Some(CloudIdentity { cloud, region, credentials }))
}

fn unused(user: &ProviderEntry) -> Problem {
    Problem::invalid(
        user.name.span,
        format!("the provider `{}` has `credentials` that its `auth` does not use", user.name.value),
        "write `auth: aws-sigv4`, `google-oauth` or `azure-entra`, or remove `credentials`",
    )
}

/// What only makes sense together is there together, and belongs to this cloud.
fn complete(entry: &CredentialsEntry, cloud: Cloud) -> Result<(), Problem> {
    let texts = [
        ("profile", &entry.profile, [Some(Cloud::Aws), None]),
        ("role_arn", &entry.role_arn, [Some(Cloud::Aws), None]),
        ("token_file", &entry.token_file, [Some(Cloud::Aws), Some(Cloud::Azure)]),
        ("key_file", &entry.key_file, [Some(Cloud::Google), None]),
        ("tenant_id", &entry.tenant_id, [Some(Cloud::Azure), None]),
        ("client_id", &entry.client_id, [Some(Cloud::Azure), None]),
    ];
    let secrets = [
        ("access_key_id", &entry.access_key_id, Cloud::Aws),
        ("secret_access_key", &entry.secret_access_key, Cloud::Aws),
        ("session_token", &entry.session_token, Cloud::Aws),
        ("client_secret", &entry.client_secret, Cloud::Azure),
    ];
    let texts = texts.into_iter().filter_map(|(name, text, clouds)| Some((name, text.as_ref()?.span, clouds)));
    let secrets =
        secrets.into_iter().filter_map(|(name, secret, of)| Some((name, secret.as_ref()?.span, [Some(of), None])));
    if let Some((name, span, _)) = texts.chain(secrets).find(|(_, _, clouds)| !clouds.contains(&Some(cloud))) {
        let message = format!("`{name}` is no part of an identity at {}", cloud.title());
        return Err(Problem::invalid(span, message, "remove it; `docs/clouds.md` lists what belongs to which cloud"));
    }
    let pairs = [
        ("access_key_id", entry.access_key_id.as_ref(), "secret_access_key", entry.secret_access_key.as_ref()),
        ("secret_access_key", entry.secret_access_key.as_ref(), "access_key_id", entry.access_key_id.as_ref()),
        ("session_token", entry.session_token.as_ref(), "access_key_id", entry.access_key_id.as_ref()),
    ];
    for (name, there, missing, needed) in pairs {
        if let (Some(there), None) = (there, needed) {
            let message = format!("`{name}` is of no use without `{missing}`");
            return Err(Problem::invalid(there.span, message, format!("add `{missing}: env:NAME`")));
        }
    }
    match (&entry.role_arn, &entry.token_file) {
        (Some(role), None) => Err(Problem::invalid(
            role.span,
            "`role_arn` needs the `token_file` that it is exchanged for",
            "add `token_file`; a role that a profile takes on is written in the profile",
        )),
        _ => Ok(()),
    }
}

fn credentials(entry: &CredentialsEntry, literals: &mut Vec<LiteralSecret>) -> Credentials {
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(|text| text.value.as_str().into());
    let mut secret = |written: &Option<_>| {
        let written: Option<&Spanned<_>> = written.as_ref();
        written.and_then(|written| secret_ref(&written.value, literals))
    };
    Credentials {
        access_key_id: secret(&entry.access_key_id),
        secret_access_key: secret(&entry.secret_access_key),
        session_token: secret(&entry.session_token),
        client_secret: secret(&entry.client_secret),
        profile: text(&entry.profile),
        role_arn: text(&entry.role_arn),
        token_file: text(&entry.token_file),
        key_file: text(&entry.key_file),
        tenant_id: text(&entry.tenant_id),
        client_id: text(&entry.client_id),
    }
}
