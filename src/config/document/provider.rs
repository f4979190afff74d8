//! One provider: where it is, who it is asked as, what its models cost.

use super::SecretText;
use crate::config::decode::json::QuirksText;
use crate::config::decode::leaf::{Choice, Flag, Price, Protocol, Text};
use crate::config::decode::list::{AnyKey, ByProtocol, HeaderKey, Map, OneOrMore};
use crate::config::decode::mapping;
use crate::config::decode::secret::{HeaderValue, Keys, Secret};
use crate::config::decode::texts::{Any, HostingWord, Transport, Url, Variable};
use crate::source::{Span, Spanned};
use crate::wire::ProtocolId;
use crate::wire::quirk::Quirks;

mapping! {
    /// One provider, in the user's file or in `presets/providers/NAME.yaml` (the same keys; the user's win).
    #[called = "a provider"]
    #[derive(Debug, Clone)]
    pub struct ProviderEntry named name, spanned span: Span, faulty faulty, {
        /// The known provider that it is another one of: what this entry does not say is as it is there. Without it, the known
        /// provider of the same name, where there is one.
        "like" => like: Option<Spanned<String>> as Text<Any>,
        /// Its name for people.
        "title" => title: Option<Spanned<String>> as Text<Any>,
        /// Where its API is described.
        "docs" => docs: Option<Spanned<String>> as Text<Any>,
        /// The protocols it speaks, in order of preference.
        "protocols" alias "protocol" => protocols: Option<Vec<Spanned<ProtocolId>>> as OneOrMore<Protocol>,
        /// What the vendor's own SDK takes, e.g. `https://api.openai.com/v1`.
        "base_url" => base_url: Option<Spanned<String>> as Text<Url>,
        /// A pool of keys: a 429 cools one key, not the provider. `request:NAME` is the credential of this name that a request brings;
        /// `{ default: request:NAME, fallback: env:NAME }` is the first of both that is there.
        "keys" alias "key" => keys: Option<Vec<Spanned<SecretText>>> as Keys,
        /// How the key travels: `bearer`, `none` or `header:NAME`; or who a cloud is asked as: `aws-sigv4`, `google-oauth` or
        /// `azure-entra`. Of a list the first holds whose key or identity is there.
        "auth" default "bearer" => auth: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The identity at a cloud. What is absent is looked for where the vendor's own SDKs look: in the environment, in
        /// their files, at the machine's metadata service.
        "credentials" => credentials: Option<CredentialsEntry> as CredentialsEntry,
        /// AWS: where it is called and what its requests are signed for. Fills `{region}`.
        "region" => region: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: whose quota is used. Fills `{project}`.
        "project" => project: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: where it is called; `global` is a place, too. Fills `{location}`.
        "location" => location: Option<Spanned<String>> as Text<Any>,
        /// Headers sent with every request; values may be references to secrets.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// Where a protocol is spoken elsewhere than at `base_url`.
        "endpoints" => endpoints: Vec<(Spanned<ProtocolId>, EndpointEntry)> as ByProtocol<EndpointEntry>,
        /// What else it can do, of what is relayed in OpenAI's shapes: `rerank`, `completions`, `moderations`, `images`,
        /// `image_edits`, `image_variations`, `speech`, `transcriptions`, `translations`, `files`, `batches`, `uploads`. Without
        /// it, what the provider file lists; a provider that only this file describes is asked for all but the last three.
        "operations" => operations: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Models it serves, besides those of the catalogue. Others pass through all the same.
        "models" => models: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// The catalogue's name for it, where that differs from its own.
        "catalogue" => catalogue: Option<Spanned<String>> as Text<Any>,
        /// How it deviates from the protocol it speaks.
        "quirks" => quirks: Option<Spanned<Quirks>> as QuirksText,
        /// What more some models deviate in, by the pattern of their ids: `{ "o1-mini*": { developer_as_system: true } }`. A `*`
        /// stands for any text. Every pattern that matches adds to `quirks`.
        "model_quirks" => model_quirks: Vec<(Spanned<String>, Spanned<Quirks>)> as Map<AnyKey, QuirksText>,
        /// What models cost, by the pattern of their ids: `{ "qwen3-*": { input: 0.1, output: 0.3 } }`. A `*` stands for any
        /// text; an id without one wins over patterns, and of several patterns the first. An entry takes the place of the
        /// catalogue's prices altogether.
        "prices" => prices: Vec<(Spanned<String>, PricesEntry)> as Map<AnyKey, PricesEntry>,
        /// A stream that passes through Chat Completions is asked for its usage (`stream_options.include_usage`) also where the
        /// caller did not ask, and the chunk that answers is taken out again. `false`: such a stream is counted by estimate.
        "include_usage" default "true" => include_usage: Option<Spanned<bool>> as Flag,
        /// `demo` is the embedded provider, in process and without a socket.
        "transport" default "http" => transport: Option<Spanned<String>> as Choice<Transport>,
        /// Variables that activate and redirect it.
        "env" => env: Option<EnvEntry> as EnvEntry,
    }
}

mapping! {
    /// An identity at a cloud: references to secrets, and names.
    #[called = "an identity"]
    #[derive(Debug, Clone, Default)]
    pub struct CredentialsEntry {
        /// AWS: the profile of `~/.aws/credentials` and `~/.aws/config`.
        "profile" => profile: Option<Spanned<String>> as Text<Any>,
        /// AWS: the id of an access key.
        "access_key_id" => access_key_id: Option<Spanned<SecretText>> as Secret,
        /// AWS: the secret of that key.
        "secret_access_key" => secret_access_key: Option<Spanned<SecretText>> as Secret,
        /// AWS: the session that the key belongs to, where it is a temporary one.
        "session_token" => session_token: Option<Spanned<SecretText>> as Secret,
        /// AWS: the role to take on, by `token_file`.
        "role_arn" => role_arn: Option<Spanned<String>> as Text<Any>,
        /// AWS and Azure: a file with a token that another issuer (Kubernetes, a build service) keeps fresh.
        "token_file" => token_file: Option<Spanned<String>> as Text<Any>,
        /// Google Cloud: the JSON key of a service account, or the file of `gcloud auth application-default login`.
        "key_file" => key_file: Option<Spanned<String>> as Text<Any>,
        /// Azure: the directory.
        "tenant_id" => tenant_id: Option<Spanned<String>> as Text<Any>,
        /// Azure: the application, or the managed identity.
        "client_id" => client_id: Option<Spanned<String>> as Text<Any>,
        /// Azure: the secret of the application.
        "client_secret" => client_secret: Option<Spanned<SecretText>> as Secret,
    }
}

impl CredentialsEntry {
    /// Every reference to a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &Spanned<SecretText>> {
        [&self.access_key_id, &self.secret_access_key, &self.session_token, &self.client_secret].into_iter().flatten()
    }
}

mapping! {
    /// What a model costs, in USD per million tokens.
    #[called = "the prices of a model"]
    #[derive(Debug, Clone, Default)]
    pub struct PricesEntry {
        /// Input that no cache saved.
        "input" => input: Option<Spanned<f64>> as Price,
        /// Output, reasoning included.
        "output" => output: Option<Spanned<f64>> as Price,
        /// Input that was read from a cache; where it is absent, the price of `input`.
        "cache_read" => cache_read: Option<Spanned<f64>> as Price,
        /// Input that was written to a cache; where it is absent, the price of `input`.
        "cache_write" => cache_write: Option<Spanned<f64>> as Price,
    }
}

mapping! {
    /// One protocol of a provider, where something differs from the provider's own settings.
    #[called = "an endpoint"]
    #[derive(Debug, Clone)]
    pub struct EndpointEntry {
        /// What the vendor's own SDK takes for this protocol.
        "base_url" => base_url: Option<Spanned<String>> as Text<Url>,
        /// How the key travels here, as in `auth` of a provider.
        "auth" => auth: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Paths that differ from the protocol's own, with `{model}` in them, or whole URLs, by operation: `generate`, `stream`,
        /// `embed`, `count_tokens`, and the names that `operations` knows. `none` says that it lacks `embed` or `count_tokens`.
        "paths" => paths: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Headers sent with every request of this protocol.
        "headers" => headers: Vec<(Spanned<String>, Spanned<SecretText>)> as Map<HeaderKey, HeaderValue>,
        /// The models that are served over this protocol, by patterns of their ids in which `*` stands for any text; a pattern
        /// that begins with `!` names models that are not. Without it, all of them.
        "models" => models: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// Whose service speaks the protocol here: its inventor's (`own`), or a cloud's, which serves Anthropic Messages at paths
        /// of its own (`vertex`, `bedrock`).
        "hosting" default "own" => hosting: Option<Spanned<String>> as Choice<HostingWord>,
        /// The betas of Anthropic that are taken here, by pattern; others that a caller asks for are left out, and reported.
        /// Absent: all are taken.
        "betas" => betas: Option<Vec<Spanned<String>>> as OneOrMore<Text<Any>>,
        /// How it deviates from this protocol.
        "quirks" => quirks: Option<Spanned<Quirks>> as QuirksText,
    }
}

mapping! {
    /// Environment variables of a provider. Of several names the first that is set wins.
    #[called = "the variables of a provider"]
    #[derive(Debug, Clone, Default)]
    pub struct EnvEntry {
        /// Variables that hold a key, and activate the provider.
        "key" => key: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// Variables that say who a cloud is asked as. One of them activates the provider.
        "identity" => identity: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// Variables that replace `base_url`.
        "base_url" => base_url: Vec<Spanned<String>> as OneOrMore<Text<Variable>>,
        /// It works without a key, as local servers do.
        "key_optional" default "false" => key_optional: Option<Spanned<bool>> as Flag,
        /// Placeholders of `base_url`: `{ endpoint: [AZURE_OPENAI_ENDPOINT, "https://{AZURE_RESOURCE_NAME}.openai.azure.com"] }`.
        /// An alternative is a variable, a text with `{VARIABLE}` in it, or a text that stands for itself.
        "variables" => variables: Vec<(Spanned<String>, Vec<Spanned<String>>)> as Map<AnyKey, OneOrMore<Text<Any>>>,
        /// Hosts that are not called as the placeholders make them: `{ global-aiplatform.googleapis.com: aiplatform.googleapis.com }`.
        "hosts" => hosts: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
    }
}
