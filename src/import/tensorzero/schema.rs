//! The keys of a `tensorzero.toml`, of today and deprecated ones, since 2024.9.

mod idle;
mod providers;

use self::providers::{EXTRA_BODY, EXTRA_HEADERS, PROVIDER, PROVIDER_TYPES};
use super::location::Forms;
use super::shape::{Key, Shape, Typed, joined, key, needed};
use crate::diagnostic::Severity::Info;

const TEXTS: Shape = Shape::List(&Shape::Text);
const NOT_STORED: &str =
    "nothing of a request is stored here: OpenTelemetry has it, see `docs/migrate-from-tensorzero.md`";
const NO_OPTIMISATION: &str = "Routeplane does not fine-tune or optimise; nothing of a request depends on it";
const NO_EVALUATION: &str = "evaluations do not run here; no request depends on it, and its files stay where they are";

/// The whole file.
pub(super) const FILE: &[Key] = &[
    key("gateway", &Shape::Table(GATEWAY)),
    key("clickhouse", &Shape::Table(&[key("disable_automatic_migrations", &Shape::Flag)])).missed(NOT_STORED),
    // TensorZero itself takes unknown keys here.
    key("postgres", &idle::POSTGRES).missed(NOT_STORED),
    key("rate_limiting", &Shape::Table(RATE_LIMITING)),
    key("object_storage", &idle::OBJECT_STORAGE),
    key("models", &Shape::Map(&Shape::Table(MODEL))),
    key("embedding_models", &Shape::Map(&Shape::Table(EMBEDDING_MODEL))),
    key("functions", &FUNCTIONS),
    key("metrics", &Shape::Map(&Shape::Table(METRIC))),
    key("tools", &Shape::Map(&Shape::Table(TOOL))),
    key("evaluations", &idle::EVALUATIONS).idle(NO_EVALUATION),
    key("provider_types", &Shape::Table(PROVIDER_TYPES)),
    key("optimizers", &idle::OPTIMIZERS).idle(NO_OPTIMISATION),
    key("autopilot", &idle::AUTOPILOT).idle(NO_OPTIMISATION),
];

const GATEWAY: &[Key] = &[
    key("bind_address", &Shape::Text),
    key("base_path", &Shape::Text),
    key("debug", &Shape::Flag)
        .adapted(Info, "how much is logged is said at the start: `RUST_LOG=debug routeplane start`"),
    key("auth", &Shape::Table(AUTH)),
    key("observability", &Shape::Table(OBSERVABILITY)),
    key("export", &Shape::Table(&[key("otlp", &Shape::Table(&[key("traces", &Shape::Table(TRACES))]))])),
    key(
        "template_filesystem_access",
        &Shape::Table(&[
            key("enabled", &Shape::Flag).adapted(Info, "deprecated; `base_path` alone decides"),
            key("base_path", &Shape::File),
        ]),
    ),
    key("cache", &Shape::Table(CACHE)),
    key(
        "metrics",
        &Shape::Table(&[key("tensorzero_inference_latency_overhead_seconds_buckets", &Shape::List(&Shape::Number))]),
    )
    .idle("Routeplane's own histograms have buckets of their own"),
    key(
        "relay",
        &Shape::Table(&[
            needed("gateway_url", &Shape::Url),
            key("api_key_location", &Shape::Location(Forms::KeyOrNone)),
        ]),
    )
    .lost("requests went to another TensorZero gateway; here models are asked at their providers. To keep the relay, add a provider with `protocol: openai-chat` at that gateway's `/openai/v1`"),
    key("global_outbound_http_timeout_ms", &Shape::Whole),
    key("global_outbound_http_intra_stream_read_timeout_ms", &Shape::Whole),
    key("fetch_and_encode_input_files_before_inference", &Shape::Flag),
    key("disable_pseudonymous_usage_analytics", &Shape::Flag).idle("Routeplane sends no usage data anywhere"),
    key("unstable_error_json", &Shape::Flag).idle("error bodies have no `error_json`"),
    key("unstable_disable_feedback_target_validation", &Shape::Flag)
        .idle("feedback is not compared with stored inferences: there are none"),
];

const AUTH: &[Key] = &[
    key("enabled", &Shape::Flag),
    key("cache", &Shape::Table(&[key("enabled", &Shape::Flag), key("ttl_ms", &Shape::Whole)]))
        .idle("keys are in memory; there is no look-up to cache"),
];

const OBSERVABILITY: &[Key] = &[
    key("enabled", &Shape::Flag),
    key("backend", &Shape::Text).missed(NOT_STORED),
    key("async_writes", &Shape::Flag).idle(NOT_STORED),
    key(
        "batch_writes",
        &Shape::Table(&[
            key("enabled", &Shape::Flag),
            key("flush_interval_ms", &Shape::Whole),
            key("max_rows", &Shape::Whole),
            key("max_rows_postgres", &Shape::Whole),
            key("write_queue_capacity", &Shape::Whole),
            key("__force_allow_embedded_batch_writes", &Shape::Flag),
        ]),
    )
    .idle(NOT_STORED),
    key("disable_automatic_migrations", &Shape::Flag).idle(NOT_STORED),
];

const TRACES: &[Key] = &[
    key("enabled", &Shape::Flag),
    key("format", &Shape::Word(&["opentelemetry", "openinference"])),
    key("extra_headers", &Shape::Map(&Shape::Text)),
    key("include_content", &Shape::Flag),
];

const CACHE: &[Key] = &[
    key("enabled", &Shape::Flag),
    key("backend", &Shape::Text),
    key("valkey", &Shape::Table(&[key("ttl_s", &Shape::Whole)])),
];

const RATE_LIMITING: &[Key] = &[
    key("enabled", &Shape::Flag),
    key("backend", &Shape::Text),
    key("default_cost", &Shape::Number),
    key("rules", &Shape::List(&Shape::Table(RULE))),
];

const BUCKET: Shape = Shape::Either(
    &Shape::Number,
    &Shape::Table(&[needed("capacity", &Shape::Number), needed("refill_rate", &Shape::Number)]),
);

const RULE: &[Key] = &[
    key("model_inferences_per_second", &BUCKET),
    key("model_inferences_per_minute", &BUCKET),
    key("model_inferences_per_hour", &BUCKET),
    key("model_inferences_per_day", &BUCKET),
    key("model_inferences_per_week", &BUCKET),
    key("model_inferences_per_month", &BUCKET),
    key("tokens_per_second", &BUCKET),
    key("tokens_per_minute", &BUCKET),
    key("tokens_per_hour", &BUCKET),
    key("tokens_per_day", &BUCKET),
    key("tokens_per_week", &BUCKET),
    key("tokens_per_month", &BUCKET),
    key("cost_per_second", &BUCKET),
    key("cost_per_minute", &BUCKET),
    key("cost_per_hour", &BUCKET),
    key("cost_per_day", &BUCKET),
    key("cost_per_week", &BUCKET),
    key("cost_per_month", &BUCKET),
    key("priority", &Shape::Whole),
    key("always", &Shape::Flag),
    key(
        "scope",
        &Shape::List(&Shape::Table(&[
            key("tag_key", &Shape::Text),
            key("tag_value", &Shape::Text),
            key("api_key_public_id", &Shape::Text),
        ])),
    ),
];

pub(super) const TIMEOUTS: Shape = Shape::Table(&[
    key("non_streaming", &Shape::Table(&[key("total_ms", &Shape::Whole)])),
    key("streaming", &Shape::Table(&[key("ttft_ms", &Shape::Whole), key("total_ms", &Shape::Whole)])),
]);

const MODEL: &[Key] = &[
    needed("routing", &TEXTS),
    needed("providers", &PROVIDERS),
    key("timeouts", &TIMEOUTS),
    key("skip_relay", &Shape::Flag).idle("there is no relay here"),
    key("namespace", &Shape::Text),
];

/// What is required of it is looked at with its meaning: the documentation has empty ones.
const EMBEDDING_MODEL: &[Key] = &[
    key("routing", &TEXTS),
    key("providers", &PROVIDERS),
    key("timeout_ms", &Shape::Whole),
    key("timeouts", &TIMEOUTS),
];

const FUNCTION_KEYS: &[Key] = &[
    key("description", &Shape::Text),
    key("system_schema", &Shape::File),
    key("user_schema", &Shape::File),
    key("assistant_schema", &Shape::File),
    key("schemas", &Shape::Map(&Shape::Table(&[needed("path", &Shape::File)]))),
    needed("variants", &VARIANTS),
    key("experimentation", &EXPERIMENT),
    key("evaluators", &idle::EVALUATORS).idle(NO_EVALUATION),
];

static FUNCTION: Typed = Typed {
    what: "function",
    common: FUNCTION_KEYS,
    renamed: &[],
    open: false,
    arms: &[
        (
            "chat",
            &[
                key("tools", &TEXTS),
                key(
                    "tool_choice",
                    &Shape::Either(
                        &Shape::Word(&["none", "auto", "required"]),
                        &Shape::Table(&[needed("specific", &Shape::Text)]),
                    ),
                ),
                key("parallel_tool_calls", &Shape::Flag),
            ],
        ),
        ("json", &[key("output_schema", &Shape::File)]),
    ],
};

const RETRIES: Shape = Shape::Table(&[key("num_retries", &Shape::Whole), key("max_delay_s", &Shape::Number)]);

pub(super) const JSON_MODES: &[&str] = &["off", "on", "strict", "tool", "implicit_tool"];

/// What every variant that asks a model may have.
pub(super) const ASKING: &[Key] = &[
    key("temperature", &Shape::Number),
    key("top_p", &Shape::Number),
    key("max_tokens", &Shape::Short),
    key("presence_penalty", &Shape::Number),
    key("frequency_penalty", &Shape::Number),
    key("seed", &Shape::Short),
    key("stop_sequences", &TEXTS),
    key("retries", &RETRIES),
    key("extra_body", &EXTRA_BODY),
    key("extra_headers", &EXTRA_HEADERS),
];

pub(super) const THINKING: &[Key] = &[
    key("reasoning_effort", &Shape::Text),
    key("service_tier", &Shape::Word(&["auto", "default", "priority", "flex"])),
    key("thinking_budget_tokens", &Shape::Signed),
    key("verbosity", &Shape::Text),
];

const CHAT: &[Key] = &joined::<21>(&[
    &[
        needed("model", &Shape::Text),
        key("system_template", &Shape::File),
        key("user_template", &Shape::File),
        key("assistant_template", &Shape::File),
        key("templates", &Shape::Map(&Shape::Table(&[needed("path", &Shape::File)]))),
        key(
            "input_wrappers",
            &Shape::Table(&[key("system", &Shape::File), key("user", &Shape::File), key("assistant", &Shape::File)]),
        ),
        key("json_mode", &Shape::Word(JSON_MODES)),
    ],
    ASKING,
    THINKING,
]);

const IN_CONTEXT: &[Key] = &joined::<20>(&[
    &[
        needed("embedding_model", &Shape::Text),
        needed("k", &Shape::Short),
        needed("model", &Shape::Text),
        key("system_instructions", &Shape::File),
        key("max_distance", &Shape::Number),
        key("json_mode", &Shape::Word(JSON_MODES)),
    ],
    ASKING,
    THINKING,
]);

/// A best-of-n evaluator and a mixture's fuser: chat completions without a `type`.
const JUDGE: Shape = Shape::Table(CHAT);

static VARIANT: Typed = Typed {
    what: "variant",
    common: &[key("weight", &Shape::Number), key("timeouts", &TIMEOUTS), key("namespace", &Shape::Text)],
    renamed: &[
        ("experimental_best_of_n", "experimental_best_of_n_sampling"),
        ("best_of_n_sampling", "experimental_best_of_n_sampling"),
        ("mixture_of_n", "experimental_mixture_of_n"),
        ("dicl", "experimental_dynamic_in_context_learning"),
    ],
    open: false,
    arms: &[
        ("chat_completion", CHAT),
        (
            "experimental_best_of_n_sampling",
            &[needed("candidates", &TEXTS), needed("evaluator", &JUDGE), key("timeout_s", &Shape::Number)],
        ),
        (
            "experimental_mixture_of_n",
            &[needed("candidates", &TEXTS), needed("fuser", &JUDGE), key("timeout_s", &Shape::Number)],
        ),
        ("experimental_dynamic_in_context_learning", IN_CONTEXT),
        ("experimental_chain_of_thought", CHAT),
    ],
};

const SHARES: Shape = Shape::Either(&Shape::Text, &Shape::Any);
const NAMESPACES: Key = key("namespaces", &EXPERIMENTS);
const FALLBACKS: Key = key("fallback_variants", &TEXTS);
const BANDIT: &[Key] = &[
    key("algorithm", &Shape::Word(&["track_and_stop"])),
    needed("metric", &Shape::Text),
    key("candidate_variants", &TEXTS),
    FALLBACKS,
    key("min_samples_per_variant", &Shape::Whole),
    key("delta", &Shape::Number),
    key("epsilon", &Shape::Number),
    key("update_period_s", &Shape::Whole),
    key("min_prob", &Shape::Number),
    key("max_samples_per_variant", &Shape::Whole),
];

const EXPERIMENTS_OF: &[(&str, &[Key])] = &[
    ("static", &[needed("candidate_variants", &SHARES), FALLBACKS]),
    ("adaptive", BANDIT),
    ("uniform", &[key("candidate_variants", &TEXTS), FALLBACKS]),
    ("static_weights", &[needed("candidate_variants", &Shape::Map(&Shape::Number)), FALLBACKS]),
    ("track_and_stop", BANDIT),
];

static EXPERIMENTATION: Typed =
    Typed { what: "experiment", common: &[NAMESPACES], renamed: &[], open: false, arms: EXPERIMENTS_OF };

/// Namespaces hold no namespaces.
static OF_NAMESPACE: Typed = Typed { what: "experiment", common: &[], renamed: &[], open: false, arms: EXPERIMENTS_OF };

const METRIC: &[Key] = &[
    needed("type", &Shape::Word(&["boolean", "float"])),
    needed("optimize", &Shape::Word(&["min", "max"])),
    needed("level", &Shape::Word(&["inference", "episode"])),
    key("description", &Shape::Text),
];

const TOOL: &[Key] = &[
    needed("description", &Shape::Text),
    needed("parameters", &Shape::File),
    key("name", &Shape::Text),
    key("strict", &Shape::Flag),
];

// Shapes that name a static are statics themselves.
static FUNCTION_SHAPE: Shape = Shape::Typed(&FUNCTION);
static FUNCTIONS: Shape = Shape::Map(&FUNCTION_SHAPE);
static PROVIDER_SHAPE: Shape = Shape::Typed(&PROVIDER);
static PROVIDERS: Shape = Shape::Map(&PROVIDER_SHAPE);
static VARIANT_SHAPE: Shape = Shape::Typed(&VARIANT);
static VARIANTS: Shape = Shape::Map(&VARIANT_SHAPE);
static EXPERIMENT: Shape = Shape::Typed(&EXPERIMENTATION);
static EXPERIMENT_OF_NAMESPACE: Shape = Shape::Typed(&OF_NAMESPACE);
static EXPERIMENTS: Shape = Shape::Map(&EXPERIMENT_OF_NAMESPACE);
