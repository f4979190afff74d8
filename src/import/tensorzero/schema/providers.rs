//! Providers of models, and what holds for all of a type.

use super::super::location::Forms;
use super::super::shape::{Key, Shape, Typed, key, needed};
use super::{NO_OPTIMISATION, TIMEOUTS};
use crate::diagnostic::Severity::Info;

const EDIT: Shape =
    Shape::Table(&[needed("pointer", &Shape::Text), key("value", &Shape::Any), key("delete", &Shape::Flag)]);
pub(super) const EXTRA_BODY: Shape = Shape::List(&EDIT);
pub(super) const EXTRA_HEADERS: Shape = Shape::List(&Shape::Table(&[
    needed("name", &Shape::Text),
    key("value", &Shape::Text),
    key("delete", &Shape::Flag),
]));

const COST: Shape = Shape::List(&Shape::Table(&[
    key("pointer", &Shape::Text),
    key("pointer_nonstreaming", &Shape::Text),
    key("pointer_streaming", &Shape::Text),
    key("cost_per_million", &Shape::Number),
    key("cost_per_unit", &Shape::Number),
    key("required", &Shape::Flag),
]));

const KEY: Shape = Shape::Location(Forms::Key);
const KEY_OR_NONE: Shape = Shape::Location(Forms::KeyOrNone);
const CLOUD: Shape = Shape::Location(Forms::Cloud);
const NAME: Key = needed("model_name", &Shape::Text);
const TOOLS_OF_PROVIDER: Key = key("provider_tools", &Shape::List(&Shape::Any));
const THINK: Key = key("parse_think_blocks", &Shape::Flag)
    .adapted(Info, "deprecated; thoughts between `<think>` tags are told apart where the provider sends them");

/// Providers of models.
pub(super) static PROVIDER: Typed = Typed {
    what: "provider",
    common: &[
        key("extra_body", &EXTRA_BODY),
        key("extra_headers", &EXTRA_HEADERS),
        key("timeouts", &TIMEOUTS),
        key("timeout_ms", &Shape::Whole),
        key("discard_unknown_chunks", &Shape::Flag).adapted(
            Info,
            "events that a protocol does not know pass through, or are left out where the answer is translated",
        ),
        key("cost", &COST),
        key("batch_cost", &COST).idle("there are no batches on this surface"),
    ],
    renamed: &[],
    open: false,
    arms: &[
        (
            "anthropic",
            &[
                NAME,
                key("api_base", &Shape::Url),
                key("api_key_location", &KEY),
                TOOLS_OF_PROVIDER,
                key("beta_structured_outputs", &Shape::Flag)
                    .idle("deprecated; structured outputs need no beta any more"),
            ],
        ),
        (
            "aws_bedrock",
            &[
                needed("model_id", &Shape::Text),
                key("region", &Shape::Text),
                key("endpoint_url", &Shape::Text),
                key("api_key", &CLOUD),
                key("access_key_id", &CLOUD),
                key("secret_access_key", &CLOUD),
                key("session_token", &CLOUD),
                key("allow_auto_detect_region", &Shape::Flag)
                    .adapted(Info, "deprecated; the region is looked for where AWS's own SDKs look"),
            ],
        ),
        (
            "aws_sagemaker",
            &[
                needed("endpoint_name", &Shape::Text),
                needed("model_name", &Shape::Text),
                needed("hosted_provider", &Shape::Word(&["openai", "tgi"])),
                key("region", &Shape::Text),
                key("endpoint_url", &Shape::Text),
                key("api_key", &CLOUD),
                key("access_key_id", &CLOUD),
                key("secret_access_key", &CLOUD),
                key("session_token", &CLOUD),
                key("allow_auto_detect_region", &Shape::Flag),
            ],
        ),
        (
            "azure",
            &[
                needed("deployment_id", &Shape::Text),
                needed("endpoint", &Shape::Endpoint),
                key("api_key_location", &KEY),
            ],
        ),
        ("deepseek", &[NAME, key("api_key_location", &KEY)]),
        ("dummy", &[key("model_name", &Shape::Text), key("api_key_location", &KEY_OR_NONE)]),
        ("fireworks", &[NAME, key("api_key_location", &KEY), THINK]),
        (
            "gcp_vertex_anthropic",
            &[
                needed("model_id", &Shape::Text),
                needed("location", &Shape::Text),
                needed("project_id", &Shape::Text),
                key("credential_location", &CLOUD),
                TOOLS_OF_PROVIDER,
            ],
        ),
        (
            "gcp_vertex_gemini",
            &[
                key("model_id", &Shape::Text),
                key("endpoint_id", &Shape::Text),
                needed("location", &Shape::Text),
                needed("project_id", &Shape::Text),
                key("credential_location", &CLOUD),
            ],
        ),
        ("google_ai_studio_gemini", &[NAME, key("api_key_location", &KEY)]),
        ("groq", &[NAME, key("api_key_location", &KEY_OR_NONE), key("reasoning_format", &Shape::Text)]),
        ("hyperbolic", &[NAME, key("api_key_location", &KEY)]),
        ("mistral", &[NAME, key("api_key_location", &KEY), key("prompt_mode", &Shape::Text)]),
        (
            "openai",
            &[
                NAME,
                key("api_base", &Shape::Url),
                key("api_key_location", &KEY_OR_NONE),
                key("api_type", &Shape::Word(&["chat_completions", "responses"])),
                key("include_encrypted_reasoning", &Shape::Flag),
                TOOLS_OF_PROVIDER,
                key("content_type_overrides", &Shape::Map(&Shape::Text))
                    .missed("files travel in the form that their type has in the protocol"),
            ],
        ),
        ("openrouter", &[NAME, key("api_key_location", &KEY_OR_NONE)]),
        ("sglang", &[NAME, needed("api_base", &Shape::Url), key("api_key_location", &KEY_OR_NONE)]),
        ("tgi", &[needed("api_base", &Shape::Url), key("api_key_location", &KEY_OR_NONE)]),
        ("together", &[NAME, key("api_key_location", &KEY), THINK]),
        ("vllm", &[NAME, needed("api_base", &Shape::Url), key("api_key_location", &KEY_OR_NONE)]),
        ("xai", &[NAME, key("api_key_location", &KEY_OR_NONE)]),
    ],
};

const DEFAULT_KEY: Key = key("defaults", &Shape::Table(&[key("api_key_location", &KEY_OR_NONE)]));
const DEFAULT_CREDENTIAL: Key = key("defaults", &Shape::Table(&[key("credential_location", &CLOUD)]));
const SFT: Key = key("sft", &Shape::Any).idle(NO_OPTIMISATION);
const BATCH: Key = key("batch", &Shape::Any).idle("there are no batches on this surface");

pub(super) const PROVIDER_TYPES: &[Key] = &[
    key("anthropic", &Shape::Table(&[DEFAULT_KEY])),
    key("azure", &Shape::Table(&[DEFAULT_KEY])),
    key("deepseek", &Shape::Table(&[DEFAULT_KEY])),
    key("fireworks", &Shape::Table(&[DEFAULT_KEY, SFT])),
    key("gcp_vertex_anthropic", &Shape::Table(&[DEFAULT_CREDENTIAL])),
    key("gcp_vertex_gemini", &Shape::Table(&[DEFAULT_CREDENTIAL, SFT, BATCH])),
    // As TensorZero's documentation has it.
    key("google_ai_studio", &Shape::Table(&[DEFAULT_KEY])),
    key("google_ai_studio_gemini", &Shape::Table(&[DEFAULT_KEY])),
    key("groq", &Shape::Table(&[DEFAULT_KEY])),
    key("hyperbolic", &Shape::Table(&[DEFAULT_KEY])),
    key("mistral", &Shape::Table(&[DEFAULT_KEY])),
    key("openai", &Shape::Table(&[DEFAULT_KEY])),
    key("openrouter", &Shape::Table(&[DEFAULT_KEY])),
    key("sglang", &Shape::Table(&[DEFAULT_KEY])),
    key("tgi", &Shape::Table(&[DEFAULT_KEY])),
    key("together", &Shape::Table(&[DEFAULT_KEY, SFT])),
    key("vllm", &Shape::Table(&[DEFAULT_KEY])),
    key("xai", &Shape::Table(&[DEFAULT_KEY])),
];
