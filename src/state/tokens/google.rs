//! Access tokens of Google Cloud: what Google calls application default credentials. A file (a service account's key, the
//! login of `gcloud`, a token of another issuer, an account that another one stands in for), or the metadata server.
//!
//! Facts: Google's pages "How Application Default Credentials works", "Using OAuth 2.0 for Server to Server Applications" and
//! AIP-4110 to AIP-4117.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::web::{Web, escaped, granted, request, secure};
use super::{Fetch, Grant, clock, home, path_of, read_file};
use crate::config::Env;
use crate::provider::identity::CloudIdentity;
use crate::state::{Credential, Secrets};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const STS: &str = "https://sts.googleapis.com/v1/token";
/// By its address: names do not lead there, see `upstream::pool`.
const METADATA: &str = "169.254.169.254";
const METADATA_NAME: &str = "metadata.google.internal";
/// How long a signed claim of a service account holds, in seconds; the most that Google takes.
const CLAIM: u64 = 3600;
/// A file that stands in for an account that another file stands in for: this many.
const DEEPEST: usize = 2;

/// Everything that a search for a token needs.
pub(super) struct Source {
    env: Env,
    /// Of the configuration.
    folder: PathBuf,
    key_file: Option<Box<str>>,
    web: Web,
}

impl Source {
    pub(super) fn new(asked_as: &CloudIdentity, secrets: &Secrets<'_>, web: Web) -> Source {
        Source {
            env: secrets.env.clone(),
            folder: secrets.folder.to_owned(),
            key_file: asked_as.credentials.key_file.clone(),
            web,
        }
    }

    async fn find(&self) -> Result<Grant, String> {
        let written = self.key_file.as_deref().map(|written| (written, path_of(written, &self.folder, &self.env)));
        // The path of a variable begins where the process was started, as it does for Google's own libraries.
        let named = || self.env.get("GOOGLE_APPLICATION_CREDENTIALS").map(|named| (named, PathBuf::from(named)));
        if let Some((written, path)) = written.or_else(named) {
            let text = read_file(path).await?.ok_or_else(|| format!("the key file `{written}` is not there"))?;
            return self.of_text(&text).await.map_err(|problem| format!("the key file `{written}`: {problem}"));
        }
        if let Some(text) = read_file(self.login()).await? {
            return self.of_text(&text).await.map_err(|problem| format!("the login of `gcloud`: {problem}"));
        }
        self.of_metadata().await.map_err(|problem| {
            format!(
                "set `GOOGLE_APPLICATION_CREDENTIALS`, or run `gcloud auth application-default login`; the metadata server \
                 gives none: {problem}"
            )
        })
    }

    /// Where `gcloud auth application-default login` leaves its file.
    fn login(&self) -> PathBuf {
        let folder = match self.env.get("CLOUDSDK_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(home(&self.env).unwrap_or_default()).join(".config").join("gcloud"),
        };
        folder.join("application_default_credentials.json")
    }

    async fn of_text(&self, text: &str) -> Result<Grant, String> {
        let file: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
        self.of_file(&file, 0).await
    }

    fn of_file<'s>(
        &'s self,
        file: &'s Value,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Grant, String>> + Send + 's>> {
        Box::pin(async move {
            match text(file, "type")? {
                "service_account" => self.of_service_account(file).await,
                "authorized_user" => self.of_user(file).await,
                "external_account" => self.of_other_issuer(file).await,
                "impersonated_service_account" if depth < DEEPEST => {
                    let source = file.get("source_credentials").ok_or("it has no `source_credentials`")?;
                    let grant = self.of_file(source, depth + 1).await?;
                    self.stand_in(text(file, "service_account_impersonation_url")?, &grant).await
                }
                other => Err(format!("files of the type `{other}` are not understood here")),
            }
        })
    }

    /// A claim, signed with the account's own key, is exchanged for a token.
    async fn of_service_account(&self, file: &Value) -> Result<Grant, String> {
        let address = secure(file.get("token_uri").and_then(Value::as_str).unwrap_or(TOKEN_URI))?;
        let assertion = assertion(file, &address)?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        granted(&self.web.post_form(&address, &form).await?)
    }

    /// The login of a person, whose quota is that of a project which requests must name.
    async fn of_user(&self, file: &Value) -> Result<Grant, String> {
        let address = secure(file.get("token_uri").and_then(Value::as_str).unwrap_or(TOKEN_URI))?;
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", text(file, "client_id")?),
            ("client_secret", text(file, "client_secret")?),
            ("refresh_token", text(file, "refresh_token")?),
        ];
        let grant = granted(&self.web.post_form(&address, &form).await?)?;
        Ok(match file.get("quota_project_id").and_then(Value::as_str) {
            Some(project) => Grant { credential: grant.credential.on_behalf_of(project), ..grant },
            None => grant,
        })
    }

    /// A token of another issuer, kept fresh in a file, is exchanged for one of Google's.
    async fn of_other_issuer(&self, file: &Value) -> Result<Grant, String> {
        let source = file.get("credential_source").ok_or("it has no `credential_source`")?;
        let path = source.get("file").and_then(Value::as_str).ok_or(
            "its `credential_source` is no file; let a sidecar or the build service write the token to a file",
        )?;
        let subject = read_file(path_of(path, &self.folder, &self.env)).await?;
        let subject = subject.ok_or_else(|| format!("the token file `{path}` is not there"))?;
        let subject = match source.pointer("/format/subject_token_field_name").and_then(Value::as_str) {
            None => subject.trim().to_owned(),
            Some(name) => {
                let json: Value = serde_json::from_str(&subject).map_err(|_| format!("`{path}` is not JSON"))?;
                text(&json, name)?.to_owned()
            }
        };
        let address = secure(file.get("token_url").and_then(Value::as_str).unwrap_or(STS))?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", text(file, "audience")?),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", text(file, "subject_token_type")?),
            ("subject_token", subject.as_str()),
        ];
        let grant = granted(&self.web.post_form(&address, &form).await?)?;
        match file.get("service_account_impersonation_url").and_then(Value::as_str) {
            Some(url) => self.stand_in(url, &grant).await,
            None => Ok(grant),
        }
    }

    /// A token of the account that the holder of `grant` may stand in for.
    async fn stand_in(&self, url: &str, grant: &Grant) -> Result<Grant, String> {
        let bearer = grant.credential.bearer();
        let bearer = bearer.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let headers = [("authorization", bearer), ("content-type", "application/json")];
        let body = json!({ "scope": [SCOPE], "lifetime": format!("{CLAIM}s") }).to_string();
        let reply = self.web.send(request(Method::POST, &secure(url)?, &headers, body.into())?).await?;
        let answer = reply.json();
        let (token, end) = (answer.get("accessToken"), answer.get("expireTime"));
        let token = token.and_then(Value::as_str).and_then(Credential::text);
        let end = end.and_then(Value::as_str).and_then(clock::rfc3339);
        match (token, end) {
            (Some(credential), Some(end)) => {
                let lifetime = end.duration_since(SystemTime::now()).map_err(|_| "the token has already ended")?;
                Ok(Grant { credential, lifetime: Some(lifetime) })
            }
            _ => Err(format!("the account that it stands in for is refused ({})", reply.status)),
        }
    }

    /// The account of the machine, the container or the function.
    async fn of_metadata(&self) -> Result<Grant, String> {
        let named = self.env.get("GCE_METADATA_HOST").or_else(|| self.env.get("GCE_METADATA_ROOT"));
        let host = named.filter(|named| *named != METADATA_NAME).unwrap_or(METADATA);
        let scopes = escaped(SCOPE);
        let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scopes}");
        granted(&self.web.get(&url, &[("metadata-flavor", "Google")]).await?)
    }
}

/// How tokens are had.
pub(super) fn fetch(source: Source) -> Fetch {
    let source = Arc::new(source);
    Arc::new(move || {
        let source = Arc::clone(&source);
        Box::pin(async move { source.find().await.map_err(|problem| format!("no token of Google Cloud: {problem}")) })
    })
}

fn text<'v>(json: &'v Value, name: &str) -> Result<&'v str, String> {
    let text = json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("it has no `{name}`"))
}

/// The signed claim of a service account (RFC 7523): who it is, what for, and for how long.
fn assertion(file: &Value, audience: &str) -> Result<String, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": file.get("private_key_id") });
    let claims = json!({
        "iss": text(file, "client_email")?, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + CLAIM,
    });
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let key = private_key(text(file, "private_key")?).ok_or("its `private_key` cannot be read")?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "its `private_key` cannot sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A key in PEM around PKCS #8.
fn private_key(pem: &str) -> Option<RsaKeyPair> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (base64, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let base64: String = base64.split_whitespace().collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).ok()?).ok()
}
