//! Access tokens of Microsoft Entra ID for Azure's models: an application with its secret, an application with a token of
//! another issuer (workload identity), or the managed identity of a machine or service.
//!
//! Facts: Microsoft's pages "Microsoft identity platform and the OAuth 2.0 client credentials flow", "How to use managed
//! identities for App Service" and "… on an Azure VM to acquire an access token"; the names of variables are those of its SDKs.

use std::path::PathBuf;
use std::sync::Arc;

use super::web::{Web, escaped, granted, secure};
use super::{Fetch, Grant, path_of, read_file};
use crate::config::Env;
use crate::provider::identity::CloudIdentity;
use crate::state::Secrets;

const AUTHORITY: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";

/// Everything that a search for a token needs.
pub(super) struct Source {
    env: Env,
    /// Of the configuration.
    folder: PathBuf,
    tenant: Option<String>,
    client: Option<String>,
    secret: Option<String>,
    token_file: Option<String>,
    /// Whose tokens are asked for: `https://cognitiveservices.azure.com`.
    resource: &'static str,
    web: Web,
}

impl Source {
    /// # Errors
    /// A secret that cannot be had.
    pub(super) fn new(asked_as: &CloudIdentity, host: &str, secrets: &Secrets<'_>, web: Web) -> Result<Source, String> {
        let credentials = &asked_as.credentials;
        let env = secrets.env.clone();
        let or_variable = |written: &Option<Box<str>>, name: &str| {
            written.as_deref().or_else(|| env.get(name)).map(|text| text.trim().to_owned())
        };
        let written = credentials.client_secret.as_ref().map(|reference| secrets.get(reference)).transpose()?.flatten();
        Ok(Source {
            folder: secrets.folder.to_owned(),
            tenant: or_variable(&credentials.tenant_id, "AZURE_TENANT_ID"),
            client: or_variable(&credentials.client_id, "AZURE_CLIENT_ID"),
            // Who names a file in the configuration does not mean a secret that happens to be in the environment.
            secret: match &credentials.token_file {
                Some(_) => written,
                None => written.or_else(|| env.get("AZURE_CLIENT_SECRET").map(str::to_owned)),
            },
            token_file: or_variable(&credentials.token_file, "AZURE_FEDERATED_TOKEN_FILE"),
            // The clouds of governments have authorities and resources of their own.
            resource: match host.ends_with(".azure.us") {
                true => "https://cognitiveservices.azure.us",
                false => "https://cognitiveservices.azure.com",
            },
            env,
            web,
        })
    }

    async fn find(&self) -> Result<Grant, String> {
        match (&self.tenant, &self.client) {
            (Some(tenant), Some(client)) if self.secret.is_some() => {
                let secret = self.secret.as_deref().unwrap_or_default();
                self.of_application(tenant, client, &[("client_secret", secret)]).await
            }
            (Some(tenant), Some(client)) if self.token_file.is_some() => self.of_workload(tenant, client).await,
            _ if self.secret.is_some() || self.token_file.is_some() => {
                Err("an application needs `tenant_id` and `client_id` (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`)"
                    .to_owned())
            }
            _ => self.of_managed_identity().await.map_err(|problem| {
                format!(
                    "set `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`; this machine has no managed \
                     identity: {problem}"
                )
            }),
        }
    }

    async fn of_workload(&self, tenant: &str, client: &str) -> Result<Grant, String> {
        let written = self.token_file.as_deref().unwrap_or_default();
        let token = read_file(path_of(written, &self.folder, &self.env)).await?;
        let token = token.ok_or_else(|| format!("the token file `{written}` is not there"))?;
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let proof = [("client_assertion_type", kind), ("client_assertion", token.trim())];
        self.of_application(tenant, client, &proof).await
    }

    async fn of_application(&self, tenant: &str, client: &str, proof: &[(&str, &str)]) -> Result<Grant, String> {
        let authority = secure(self.env.get("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY))?;
        let url = format!("{}/{}/oauth2/v2.0/token", authority.trim_end_matches('/'), escaped(tenant));
        let scope = format!("{}/.default", self.resource);
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope.as_str())];
        form.extend(proof);
        granted(&self.web.post_form(&url, &form).await?)
    }

    /// The identity of an App Service, a function or a container app, else of the virtual machine or the node.
    async fn of_managed_identity(&self) -> Result<Grant, String> {
        let client = self.client.as_ref().map(|client| format!("&client_id={}", escaped(client))).unwrap_or_default();
        let resource = escaped(self.resource);
        if let (Some(endpoint), Some(header)) = (self.env.get("IDENTITY_ENDPOINT"), self.env.get("IDENTITY_HEADER")) {
            let url = format!("{endpoint}?api-version=2019-08-01&resource={resource}{client}");
            return granted(&self.web.get(&url, &[("x-identity-header", header)]).await?);
        }
        let host = self.env.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA).trim_end_matches('/');
        let url = format!("{host}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{client}");
        granted(&self.web.get(&url, &[("metadata", "true")]).await?)
    }
}

/// How tokens are had.
pub(super) fn fetch(source: Source) -> Fetch {
    let source = Arc::new(source);
    Arc::new(move || {
        let source = Arc::clone(&source);
        Box::pin(
            async move { source.find().await.map_err(|problem| format!("no token of Microsoft Entra ID: {problem}")) },
        )
    })
}
