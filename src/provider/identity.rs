//! Who a cloud is asked as: the clouds whose requests carry short-lived tokens or signatures instead of a key. References
//! only; the tokens are made in `state::tokens`.

use super::SecretRef;

/// A cloud with an identity of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    Aws,
    Google,
    Azure,
}

impl Cloud {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Cloud::Aws => "AWS",
            Cloud::Google => "Google Cloud",
            Cloud::Azure => "Microsoft Entra ID",
        }
    }
}

/// The identity of a provider at its cloud. What is absent is looked for where the vendor's own SDKs look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudIdentity {
    pub cloud: Cloud,
    /// AWS: the region that requests are signed for, and whose STS is asked.
    pub region: Box<str>,
    pub credentials: Credentials,
}

/// What the file says under `credentials:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// AWS: the profile of `~/.aws`.
    pub profile: Option<Box<str>>,
    pub access_key_id: Option<SecretRef>,
    pub secret_access_key: Option<SecretRef>,
    pub session_token: Option<SecretRef>,
    /// AWS: the role that `token_file`, or else the profile, is exchanged for.
    pub role_arn: Option<Box<str>>,
    /// AWS and Azure: a file with a token of another issuer (Kubernetes, GitHub).
    pub token_file: Option<Box<str>>,
    /// Google: a service account's JSON key, or the file that `gcloud auth application-default login` writes.
    pub key_file: Option<Box<str>>,
    pub tenant_id: Option<Box<str>>,
    pub client_id: Option<Box<str>>,
    pub client_secret: Option<SecretRef>,
}

impl Credentials {
    /// Every reference to a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        [&self.access_key_id, &self.secret_access_key, &self.session_token, &self.client_secret].into_iter().flatten()
    }
}
