//! AWS keys, from the places where AWS's own SDKs look, in their order: what the file says, the environment, a web
//! identity, the profiles of `~/.aws`, the container's endpoint, the instance's metadata.
//!
//! Facts: "AWS SDKs and Tools Reference Guide", chapters on credential providers and on shared files.

mod metadata;
mod profile;
mod sign;
mod sts;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

pub use profile::region_of_profile;
pub use sign::sign;

use super::web::Web;
use super::{Fetch, Grant, clock};
use crate::config::Env;
use crate::provider::identity::CloudIdentity;
use crate::state::{Credential, Secrets};

/// Everything that a search for keys needs.
pub(super) struct Chain {
    env: Env,
    /// Of the configuration.
    folder: PathBuf,
    region: Box<str>,
    /// From the file.
    keys: Option<Keys>,
    profile: Option<Box<str>>,
    role_arn: Option<Box<str>>,
    token_file: Option<Box<str>>,
    web: Web,
}

/// An access key. No `Debug`: it cannot be printed by accident.
#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
    session: Option<String>,
    lifetime: Option<Duration>,
}

impl Keys {
    fn grant(self) -> Grant {
        Grant { lifetime: self.lifetime, credential: Credential::aws(self.id, self.secret, self.session) }
    }

    /// Reads the JSON of metadata services and of `credential_process`, which differ in the name of the session.
    fn from_json(json: &Value) -> Result<Keys, String> {
        let text = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(id), Some(secret)) = (text("AccessKeyId"), text("SecretAccessKey")) else {
            return Err(match text("Code").or_else(|| text("code")).filter(|code| *code != "Success") {
                Some(code) => format!("`{}`", super::web::short(code)),
                None => "there is no access key in it".to_owned(),
            });
        };
        let session = text("Token").or_else(|| text("SessionToken"));
        let lifetime = text("Expiration").map(lifetime).transpose()?;
        Ok(Keys { id: id.to_owned(), secret: secret.to_owned(), session: session.map(str::to_owned), lifetime })
    }
}

/// From now to a written point in time.
fn lifetime(end: &str) -> Result<Duration, String> {
    let end = clock::rfc3339(end).ok_or("its `Expiration` is not a point in time")?;
    end.duration_since(SystemTime::now()).map_err(|_| "it holds keys that have expired".to_owned())
}

impl Chain {
    /// # Errors
    /// A secret that cannot be had.
    pub(super) fn new(asked_as: &CloudIdentity, secrets: &Secrets<'_>, web: Web) -> Result<Chain, String> {
        let credentials = &asked_as.credentials;
        let secret = |reference: &Option<_>| match reference {
            Some(reference) => secrets.get(reference),
            None => Ok(None),
        };
        let (id, key) = (secret(&credentials.access_key_id)?, secret(&credentials.secret_access_key)?);
        let session = secret(&credentials.session_token)?;
        let keys = id.zip(key).map(|(id, secret)| Keys { id, secret, session, lifetime: None });
        Ok(Chain {
            env: secrets.env.clone(),
            folder: secrets.folder.to_owned(),
            region: asked_as.region.clone(),
            keys,
            profile: credentials.profile.clone(),
            role_arn: credentials.role_arn.clone(),
            token_file: credentials.token_file.clone(),
            web,
        })
    }

    /// The first place that has keys.
    async fn find(&self) -> Result<Keys, String> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        if let (Some(role), Some(file)) = (&self.role_arn, &self.token_file) {
            let path = super::path_of(file, &self.folder, &self.env);
            return sts::with_web_identity(self, role, path).await;
        }
        if let Some(profile) = &self.profile {
            return profile::keys(self, profile).await?.ok_or_else(|| format!("there is no profile `{profile}`"));
        }
        if let Some(keys) = self.keys_of_environment() {
            return Ok(keys);
        }
        if let (Some(role), Some(file)) = (self.env.get("AWS_ROLE_ARN"), self.env.get("AWS_WEB_IDENTITY_TOKEN_FILE")) {
            return sts::with_web_identity(self, role, file.into()).await;
        }
        let named = self.env.get("AWS_PROFILE").or_else(|| self.env.get("AWS_DEFAULT_PROFILE"));
        if let Some(keys) = profile::keys(self, named.unwrap_or("default")).await? {
            return Ok(keys);
        }
        if let Some(profile) = named {
            return Err(format!("there is no profile `{profile}`; `AWS_PROFILE` names it"));
        }
        if let Some(keys) = metadata::of_container(self).await? {
            return Ok(keys);
        }
        metadata::of_instance(self).await.map_err(|problem| {
            format!(
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`; there is no profile `default`, and \
                 the instance's metadata give none: {problem}"
            )
        })
    }

    fn keys_of_environment(&self) -> Option<Keys> {
        let text = |name| self.env.get(name).map(|value| value.trim().to_owned());
        Some(Keys {
            id: text("AWS_ACCESS_KEY_ID")?,
            secret: text("AWS_SECRET_ACCESS_KEY")?,
            session: text("AWS_SESSION_TOKEN"),
            lifetime: None,
        })
    }
}

/// How keys are had.
pub(super) fn fetch(chain: Chain) -> Fetch {
    let chain = Arc::new(chain);
    Arc::new(move || {
        let chain = Arc::clone(&chain);
        Box::pin(async move {
            let found = chain.find().await;
            found.map(Keys::grant).map_err(|problem| format!("no AWS credentials: {problem}"))
        })
    })
}
