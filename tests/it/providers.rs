//! The provider files, and what becomes of them with an environment and the user's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use routeplane::config::activate::{Problem, provider, variables};
use routeplane::config::document::{LiteralSecret, ProviderEntry};
use routeplane::config::{Env, decode, parse, yaml};
use routeplane::diagnostic::Diagnostics;
use routeplane::provider::identity::Cloud;
use routeplane::provider::{Activation, AuthScheme, Endpoint, HeaderText, Provider, SecretRef, Transport, presets};
use routeplane::source::SourceMap;
use routeplane::wire::ProtocolId;
use routeplane::wire::quirk::MaxTokensMember;

fn preset(name: &str) -> Option<ProviderEntry> {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let source = sources.add(name, presets::find(name)?);
    let root = yaml::parse(source, &sources.get(source).unwrap().text, &mut diagnostics).unwrap();
    let entry = decode::decode_provider(&root, name, &mut diagnostics).unwrap();
    assert!(diagnostics.is_empty(), "presets/providers/{name}.yaml: {diagnostics:#?}");
    Some(entry)
}

fn presets() -> impl Iterator<Item = ProviderEntry> {
    presets::names().map(|name| preset(name).unwrap())
}

/// The user's entry, from the text under `providers:`.
fn user(yaml: &str) -> Option<ProviderEntry> {
    if yaml.is_empty() {
        return None;
    }
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let source = sources.add("routeplane.yaml", format!("providers:\n  {yaml}\n"));
    parse(source, &sources, &mut diagnostics).unwrap().providers.pop()
}

fn activate(name: &str, yaml: &str, env: &[(&str, &str)]) -> Result<Provider, Problem> {
    let env = Env::new(env.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    provider(name, preset(name).as_ref(), user(yaml).as_ref(), &env, &mut Vec::new())
}

fn base_urls(provider: &Provider) -> Vec<String> {
    provider.endpoints.iter().map(|endpoint| format!("{} {}", endpoint.protocol, endpoint.base_url)).collect()
}

fn header<'a>(endpoint: &'a Endpoint, name: &str) -> Option<&'a HeaderText> {
    endpoint.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value)
}

fn env_key(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

// === the files ===

#[test]
fn every_file_is_read_without_a_finding_and_says_who_it_is() {
    for entry in presets() {
        let name = &entry.name.value;
        assert!(entry.title.is_some(), "{name} has no title");
        let docs = entry.docs.as_ref().map(|docs| docs.value.as_str());
        assert!(docs.is_some_and(|docs| docs.starts_with("https://")) || name == "demo", "{name} has no docs");
        assert!(presets::find(name).unwrap().starts_with("# "), "{name} does not say what is special");
    }
}

#[test]
fn a_variable_belongs_to_one_provider() {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for entry in presets() {
        let env = entry.env.unwrap_or_default();
        let named = env.variables.into_iter().flat_map(|(_, alternatives)| alternatives);
        for variable in env.key.into_iter().chain(env.identity).chain(env.base_url).chain(named) {
            if let Some(other) = owners.insert(variable.value.clone(), entry.name.value.clone()) {
                panic!("`{}` is named by `{other}` and `{}`", variable.value, entry.name.value);
            }
        }
    }
}

#[test]
fn every_provider_can_be_named_in_a_file_without_any_variable() {
    for entry in presets() {
        let name = &entry.name.value;
        let provider = activate(name, &format!("{name}: {{}}"), &[]).unwrap();
        assert_eq!(provider.activation, Activation::File);
        assert!(!provider.endpoints.is_empty(), "{name}");
    }
}

#[test]
fn without_a_variable_only_the_demo_is_active() {
    let active: Vec<&str> = presets::names().filter(|name| activate(name, "", &[]).is_ok()).collect();
    assert_eq!(active, ["demo"]);
    let demo = activate("demo", "", &[]).unwrap();
    assert_eq!((demo.transport, demo.activation, demo.key_required), (Transport::Demo, Activation::Always, false));
}

#[test]
fn each_variable_that_activates_does() {
    for entry in presets() {
        for variable in variables(&entry) {
            let value = if variable.contains("KEY") || variable.contains("TOKEN") { "k" } else { "http://127.0.0.1:9" };
            let place = [("AZURE_RESOURCE_NAME", "acme"), ("GOOGLE_CLOUD_PROJECT", "p"), (variable, value)];
            let provider = activate(&entry.name.value, "", &place).unwrap();
            assert_eq!(provider.activation, Activation::Environment(variable.into()));
        }
    }
}

/// `docs/providers.md`; `INSTA_UPDATE=always` writes it.
#[test]
fn the_page_of_providers_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");
    let page = page();
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/providers.md is out of date; run `INSTA_UPDATE=always cargo test --test it providers::`"
    );
}

fn page() -> String {
    let mut page = String::from(include_str!("../providers/page.md"));
    page.push_str("\n| name | provider | protocols | base URL | variables |\n|---|---|---|---|---|\n");
    for entry in presets() {
        let provider = activate(&entry.name.value, &format!("{}: {{}}", entry.name.value), &[]).unwrap();
        let title = match &entry.docs {
            Some(docs) => format!("[{}]({})", provider.title, docs.value),
            None => provider.title.to_string(),
        };
        let protocols: Vec<String> = provider.endpoints.iter().map(|e| format!("`{}`", e.protocol)).collect();
        let base_url = entry.base_url.as_ref().map_or("", |url| url.value.as_str());
        let (base_url, variables) = match provider.transport {
            Transport::Demo => ("in process".to_owned(), "none needed".to_owned()),
            Transport::Http => (format!("`{base_url}`"), variable_cell(&entry)),
        };
        let row = (&entry.name.value, title, protocols.join(", "), base_url, variables);
        writeln!(page, "| `{}` | {} | {} | {} | {} |", row.0, row.1, row.2, row.3, row.4).unwrap();
    }
    page
}

fn variable_cell(entry: &ProviderEntry) -> String {
    let env = entry.env.clone().unwrap_or_default();
    let list = |names: &[routeplane::source::Spanned<String>]| {
        names.iter().map(|name| format!("`{}`", name.value)).collect::<Vec<_>>().join(", ")
    };
    let mut cells = Vec::new();
    if !env.key.is_empty() {
        let optional = if env.key_optional.is_some_and(|optional| optional.value) { " (optional)" } else { "" };
        cells.push(format!("key{optional}: {}", list(&env.key)));
    }
    if !env.identity.is_empty() {
        cells.push(format!("identity: {}", list(&env.identity)));
    }
    if !env.base_url.is_empty() {
        cells.push(format!("base URL: {}", list(&env.base_url)));
    }
    for (placeholder, alternatives) in &env.variables {
        cells.push(format!("{}: {}", placeholder.value, list(alternatives)));
    }
    cells.join("<br>")
}

// === keys ===

#[test]
fn the_first_variable_that_is_set_is_the_key() {
    let google = activate("google", "", &[("GOOGLE_API_KEY", "k")]).unwrap();
    assert_eq!(*google.keys, [env_key("GOOGLE_API_KEY")]);
    let both = activate("google", "", &[("GOOGLE_API_KEY", "k"), ("GEMINI_API_KEY", "k")]).unwrap();
    assert_eq!(*both.keys, [env_key("GEMINI_API_KEY")]);
    let empty = activate("google", "", &[("GOOGLE_API_KEY", "k"), ("GEMINI_API_KEY", "")]).unwrap();
    assert_eq!(*empty.keys, [env_key("GOOGLE_API_KEY")]);
}

#[test]
fn an_inactive_provider_says_what_would_activate_it() {
    let Err(Problem::Inactive { variables }) = activate("groq", "", &[]) else { panic!("groq is active") };
    assert_eq!(variables, ["GROQ_API_KEY"]);
    let Err(Problem::Inactive { variables }) = activate("ollama", "", &[]) else { panic!("ollama is active") };
    assert_eq!(variables, ["OLLAMA_BASE_URL", "OLLAMA_HOST"]);
}

#[test]
fn a_provider_that_the_file_names_is_there_without_its_key() {
    let openai = activate("openai", "openai: {}", &[]).unwrap();
    assert_eq!(*openai.keys, [env_key("OPENAI_API_KEY")]);
    assert!(openai.key_required);
}

#[test]
fn the_pool_of_the_file_wins_and_literals_are_kept_apart() {
    let entry = user("openai: { keys: [env:A, file:/run/b, sk-written-here] }");
    let mut literals = vec![LiteralSecret("an earlier one".to_owned())];
    let env = Env::new([("OPENAI_API_KEY".to_owned(), "k".to_owned())]);
    let openai = provider("openai", preset("openai").as_ref(), entry.as_ref(), &env, &mut literals).unwrap();
    assert_eq!(*openai.keys, [env_key("A"), SecretRef::File("/run/b".into()), SecretRef::Literal(1)]);
    assert_eq!(literals[1].0, "sk-written-here");
    assert!(!format!("{openai:?}").contains("sk-written"));
}

#[test]
fn a_local_server_sends_a_key_only_where_there_is_one() {
    let without = activate("vllm", "vllm: {}", &[]).unwrap();
    assert_eq!((without.keys.len(), without.key_required), (0, false));
    assert_eq!(without.endpoints[0].auth, AuthScheme::None);
    let with = activate("vllm", "vllm: {}", &[("VLLM_API_KEY", "k")]).unwrap();
    assert_eq!((&*with.keys, &with.endpoints[0].auth), (&[env_key("VLLM_API_KEY")][..], &AuthScheme::Bearer));
    assert!(activate("vllm", "", &[("VLLM_API_KEY", "k")]).is_err(), "a key does not say that a server runs here");
}

// === base URLs ===

#[test]
fn a_variable_redirects_and_the_file_wins() {
    let variable = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://127.0.0.1:9000/v1/")];
    assert_eq!(
        base_urls(&activate("openai", "", &variable).unwrap()),
        ["openai-chat http://127.0.0.1:9000/v1", "openai-responses http://127.0.0.1:9000/v1"]
    );
    let both = activate("openai", "openai: { base_url: 'https://eu.example.com/v1' }", &variable).unwrap();
    assert_eq!(
        base_urls(&both),
        ["openai-chat https://eu.example.com/v1", "openai-responses https://eu.example.com/v1"]
    );
}

#[test]
fn a_redirected_provider_leaves_the_vendor_s_other_endpoints_behind() {
    let at_home = activate("deepseek", "deepseek: {}", &[]).unwrap();
    assert_eq!(
        base_urls(&at_home),
        ["openai-chat https://api.deepseek.com", "anthropic-messages https://api.deepseek.com/anthropic"]
    );
    let away = activate("deepseek", "deepseek: { base_url: 'http://10.0.0.7/v1' }", &[]).unwrap();
    assert_eq!(base_urls(&away), ["openai-chat http://10.0.0.7/v1"]);
    let yaml = "deepseek: { base_url: 'http://10.0.0.7/v1', endpoints: { anthropic-messages: { base_url: 'http://10.0.0.7' } } }";
    let both = activate("deepseek", yaml, &[]).unwrap();
    assert_eq!(base_urls(&both), ["openai-chat http://10.0.0.7/v1", "anthropic-messages http://10.0.0.7"]);
}

#[test]
fn placeholders_are_filled_by_the_first_alternative_that_can_be() {
    let key = ("AZURE_OPENAI_API_KEY", "k");
    for (variable, value) in
        [("AZURE_OPENAI_ENDPOINT", "https://acme.openai.azure.com/"), ("AZURE_RESOURCE_NAME", "acme")]
    {
        let azure = activate("azure", "", &[key, (variable, value)]).unwrap();
        let base = "https://acme.openai.azure.com/openai/v1";
        assert_eq!(base_urls(&azure), [format!("openai-chat {base}"), format!("openai-responses {base}")]);
        assert_eq!(azure.endpoints[0].auth, AuthScheme::Header("api-key".parse().unwrap()));
    }
    let Err(Problem::Inactive { variables }) = activate("azure", "", &[key]) else { panic!("azure is nowhere") };
    assert_eq!(variables, ["AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE", "AZURE_RESOURCE_NAME"]);
}

#[test]
fn a_provider_that_the_file_names_explains_what_its_place_needs() {
    let azure = activate("azure", "azure: {}", &[]).unwrap();
    let AuthScheme::Unsupported(why) = &azure.endpoints[0].auth else { panic!("azure can be called") };
    assert_eq!(
        &**why,
        "where `azure` is, is not known: set `AZURE_OPENAI_ENDPOINT`, `AZURE_API_BASE` or `AZURE_RESOURCE_NAME`, \
         or `base_url` in the file"
    );
}

#[test]
fn ollama_s_host_is_read_as_ollama_reads_it() {
    for (value, url) in [
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
        (":8080", "http://127.0.0.1:8080/v1"),
        ("box", "http://box:11434/v1"),
        ("https://box.example.com/", "https://box.example.com/v1"),
        ("[::]:11434", "http://127.0.0.1:11434/v1"),
    ] {
        let ollama = activate("ollama", "", &[("OLLAMA_HOST", value)]).unwrap();
        assert_eq!(base_urls(&ollama), [format!("openai-chat {url}")], "OLLAMA_HOST={value}");
    }
    assert_eq!(base_urls(&activate("ollama", "ollama: {}", &[]).unwrap()), ["openai-chat http://127.0.0.1:11434/v1"]);
}

#[test]
fn what_a_variable_holds_is_not_repeated() {
    let env = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://user:hunter2@example.com")];
    let Err(Problem::Invalid { message, help, .. }) = activate("openai", "", &env) else { panic!("accepted") };
    assert_eq!(message, "the variable `OPENAI_BASE_URL` does not hold a base URL");
    assert!(!help.contains("hunter2"));
}

// === protocols, authentication, headers ===

#[test]
fn a_server_of_one_s_own_needs_a_protocol_and_a_base_url() {
    let gpu = activate(
        "gpu-box",
        "gpu-box: { protocol: openai-chat, base_url: 'http://10.0.0.7:8000/v1', models: [qwen3-32b] }",
        &[],
    );
    let gpu = gpu.unwrap();
    assert_eq!(base_urls(&gpu), ["openai-chat http://10.0.0.7:8000/v1"]);
    assert_eq!((gpu.key_required, &gpu.endpoints[0].auth), (false, &AuthScheme::None));
    assert_eq!(gpu.models.iter().map(|id| &**id).collect::<Vec<_>>(), ["qwen3-32b"]);
    assert_eq!(gpu.endpoints[0].quirks.max_tokens, MaxTokensMember::MaxTokens);
    let keyed =
        activate("gpu-box", "gpu-box: { protocol: openai-chat, base_url: 'http://h/v1', key: env:GPU_KEY }", &[]);
    let keyed = keyed.unwrap();
    assert_eq!((keyed.key_required, &keyed.endpoints[0].auth), (true, &AuthScheme::Bearer));
}

#[test]
fn what_an_entry_lacks_is_said() {
    for (name, yaml, message, help) in [
        ("gpu", "gpu: { protocol: openai-chat }", "the provider `gpu` has no `base_url`", "base_url"),
        (
            "opnai",
            "opnai: {}",
            "what the provider `opnai` speaks is not known",
            "did you mean the known provider `openai`?",
        ),
        ("zzz", "zzz: {}", "what the provider `zzz` speaks is not known", "add `protocol: openai-chat`"),
        ("openai", "openai: { auth: basic }", "`basic` is not a way to authenticate", "`bearer`, `none`"),
        (
            "openai",
            "openai: { headers: { Host: x } }",
            "the header `host` is the gateway's own: it follows from the connection or the body",
            "remove it",
        ),
        ("openai", "openai: { catalogue: opnai }", "the catalogue has no models of `opnai`", "did you mean `openai`?"),
        (
            "openai",
            "openai: { endpoints: { openai-chat: { paths: { generate: x } } } }",
            "the path `x` does not begin with `/`",
            "",
        ),
        (
            "openai",
            "openai: { endpoints: { openai-chat: { paths: { chat: /x } } } }",
            "`chat` is not an operation with a path",
            "`generate`",
        ),
    ] {
        let Err(Problem::Invalid { span, message: said, help: advice }) = activate(name, yaml, &[]) else {
            panic!("{yaml} is accepted")
        };
        assert_eq!(said, message);
        assert!(advice.contains(help), "{advice}");
        assert!(span.is_some(), "{yaml}");
    }
}

#[test]
fn each_protocol_has_its_inventor_s_header_for_the_key() {
    let scheme = |protocol: &str| {
        let yaml = format!("own: {{ protocol: {protocol}, base_url: 'http://h', key: env:K }}");
        activate("own", &yaml, &[]).unwrap().endpoints[0].auth.clone()
    };
    assert_eq!(scheme("openai-chat"), AuthScheme::Bearer);
    assert_eq!(scheme("anthropic-messages"), AuthScheme::Header("x-api-key".parse().unwrap()));
    assert_eq!(scheme("gemini"), AuthScheme::Header("x-goog-api-key".parse().unwrap()));
}

#[test]
fn headers_are_merged_by_name() {
    let yaml = "anthropic: { headers: { x-team: lab, anthropic-version: '2024-01-01', x-secret: env:S } }";
    let anthropic = activate("anthropic", yaml, &[]).unwrap();
    let endpoint = &anthropic.endpoints[0];
    assert_eq!(header(endpoint, "x-team"), Some(&HeaderText::Literal("lab".parse().unwrap())));
    assert_eq!(header(endpoint, "anthropic-version"), Some(&HeaderText::Literal("2024-01-01".parse().unwrap())));
    assert_eq!(header(endpoint, "x-secret"), Some(&HeaderText::Secret(env_key("S"))));
    let compatible = activate("deepseek", "deepseek: {}", &[]).unwrap();
    let [chat, messages] = &*compatible.endpoints else { panic!("{compatible:?}") };
    assert_eq!(header(chat, "anthropic-version"), None);
    assert!(header(messages, "anthropic-version").is_some());
}

#[test]
fn a_cloud_is_asked_with_a_key_or_as_somebody() {
    let scheme = |name: &str, yaml: &str, env: &[(&str, &str)]| {
        let provider = activate(name, yaml, env).unwrap();
        let cloud = provider.identity.as_ref().map(|identity| identity.cloud);
        (provider.endpoints[0].auth.to_string(), cloud, provider.keys.len(), provider.key_required)
    };
    let (aws, azure, google) = (Some(Cloud::Aws), Some(Cloud::Azure), Some(Cloud::Google));
    assert_eq!(scheme("bedrock", "bedrock: {}", &[]), ("aws-sigv4".to_owned(), aws, 0, false));
    let key = [("AWS_BEARER_TOKEN_BEDROCK", "k"), ("AWS_PROFILE", "p")];
    assert_eq!(scheme("bedrock", "", &key), ("bearer".to_owned(), None, 1, true));
    assert_eq!(scheme("bedrock", "bedrock: { credentials: { profile: p } }", &key).1, aws);
    assert_eq!(scheme("bedrock", "bedrock: { auth: bearer, key: env:K }", &[]), ("bearer".to_owned(), None, 1, true));
    let place = [("AZURE_RESOURCE_NAME", "acme"), ("AZURE_CLIENT_SECRET", "s")];
    assert_eq!(scheme("azure", "", &place), ("azure-entra".to_owned(), azure, 0, false));
    let project = [("GOOGLE_CLOUD_PROJECT", "p"), ("GOOGLE_APPLICATION_CREDENTIALS", "f")];
    assert_eq!(scheme("vertex", "", &project), ("google-oauth".to_owned(), google, 0, false));
}

#[test]
fn a_region_is_signed_for_where_the_host_is() {
    let region = |yaml: &str, env: &[(&str, &str)]| {
        let provider = activate("bedrock", yaml, env).unwrap();
        let AuthScheme::AwsSigV4(scope) = &provider.endpoints[0].auth else { panic!("{provider:?}") };
        (provider.endpoints[0].base_url.authority.to_string(), scope.region.to_string())
    };
    let host = |region: &str| format!("bedrock-runtime.{region}.amazonaws.com");
    let env = [("AWS_REGION", "eu-west-3")];
    assert_eq!(region("bedrock: {}", &[]), (host("us-east-1"), "us-east-1".to_owned()));
    assert_eq!(region("bedrock: {}", &env), (host("eu-west-3"), "eu-west-3".to_owned()));
    assert_eq!(region("bedrock: { region: ap-south-1 }", &env), (host("ap-south-1"), "ap-south-1".to_owned()));
    let vpc = "vpce-0a.bedrock-runtime.eu-central-1.vpce.amazonaws.com";
    assert_eq!(region(&format!("bedrock: {{ base_url: 'https://{vpc}' }}"), &env).1, "eu-central-1");
    assert_eq!(region("bedrock: { base_url: 'https://bedrock.corp' }", &env).1, "eu-west-3");
}

#[test]
fn vertex_is_called_at_the_host_of_its_location() {
    let place = |yaml: &str| {
        let endpoint = activate("vertex", yaml, &[("GOOGLE_CLOUD_PROJECT", "p")]).unwrap().endpoints[0].clone();
        (endpoint.base_url.authority.to_string(), endpoint.paths[0].2.clone().unwrap().to_string())
    };
    for (yaml, host, location) in [
        ("vertex: {}", "aiplatform.googleapis.com", "global"),
        ("vertex: { location: europe-west4 }", "europe-west4-aiplatform.googleapis.com", "europe-west4"),
        ("vertex: { location: eu }", "aiplatform.eu.rep.googleapis.com", "eu"),
    ] {
        let path = format!("/v1/projects/p/locations/{location}/publishers/google/models/{{model}}:generateContent");
        assert_eq!(place(yaml), (host.to_owned(), path));
    }
    let named = activate("vertex", "vertex: {}", &[]).unwrap();
    let AuthScheme::Unsupported(why) = &named.endpoints[0].auth else {
        panic!("vertex can be called without a project")
    };
    assert!(why.contains("`GOOGLE_CLOUD_PROJECT`"), "{why}");
    let Err(Problem::Inactive { variables }) = activate("vertex", "", &[("GOOGLE_APPLICATION_CREDENTIALS", "f")])
    else {
        panic!("vertex is active without a project")
    };
    assert!(variables.contains(&"GOOGLE_CLOUD_PROJECT".to_owned()), "{variables:?}");
}

#[test]
fn credentials_that_cannot_be_used_are_refused() {
    for (yaml, message) in [
        ("groq: { credentials: { profile: p } }", "the provider `groq` has `credentials` that its `auth` does not use"),
        (
            "bedrock: { credentials: { access_key_id: env:A } }",
            "`access_key_id` is of no use without `secret_access_key`",
        ),
        ("bedrock: { credentials: { tenant_id: t } }", "`tenant_id` is no part of an identity at AWS"),
        ("bedrock: { credentials: { role_arn: r } }", "`role_arn` needs the `token_file` that it is exchanged for"),
        ("bedrock: { auth: azure-sso }", "`azure-sso` is not a way to authenticate"),
    ] {
        let name = yaml.split(':').next().unwrap();
        let Err(Problem::Invalid { span, message: said, .. }) = activate(name, yaml, &[]) else {
            panic!("{yaml} is accepted")
        };
        assert_eq!(said, message);
        assert!(span.is_some(), "{yaml}");
    }
}

#[test]
fn models_are_those_of_the_files_and_of_the_catalogue() {
    let openai = activate("openai", "openai: { models: [my-tune, gpt-5] }", &[]).unwrap();
    let ids: Vec<&str> = openai.models.iter().map(|id| &**id).collect();
    assert_eq!(ids[..2], ["my-tune", "gpt-5"]);
    assert_eq!(ids.iter().filter(|id| **id == "gpt-5").count(), 1);
    assert!(ids.contains(&"gpt-5-mini") && ids.contains(&"text-embedding-3-small"));
    assert!(ids.contains(&"o1-pro"), "served over Responses");
    let protocols = |provider: &Provider| -> Vec<ProtocolId> {
        provider.endpoints.iter().map(|endpoint| endpoint.protocol).collect()
    };
    assert_eq!(protocols(&openai), [ProtocolId::OpenAiChat, ProtocolId::OpenAiResponses]);
    // Who lists protocols gets these.
    let chat_only = activate("openai", "openai: { protocol: openai-chat }", &[]).unwrap();
    assert_eq!(protocols(&chat_only), [ProtocolId::OpenAiChat]);
    assert!(!chat_only.models.iter().any(|id| &**id == "o1-pro"), "served over Responses only");
    let borrowed =
        activate("eu", "eu: { protocol: openai-chat, base_url: 'http://h/v1', catalogue: openai }", &[]).unwrap();
    assert!(borrowed.models.iter().any(|id| &**id == "gpt-5"));
}
