//! Sections on which no request depends: evaluations, optimizers, stores. TensorZero reads them all the same, and refuses a file
//! that has them wrong. Facts: `tensorzero` 2026.6.0, by running it.

use super::{ASKING, JSON_MODES, TEXTS, THINKING};
use crate::import::tensorzero::shape::{Key, Shape, Typed, joined, key, needed};

pub(super) static EVALUATIONS: Shape = Shape::Idle(&EVALUATIONS_SHAPE);
static EVALUATIONS_SHAPE: Shape = Shape::Map(&EVALUATION_SHAPE);
static EVALUATION_SHAPE: Shape = Shape::Table(EVALUATION);

const EVALUATION: &[Key] = &[
    // `static` until 2025.10.6.
    needed("type", &Shape::Word(&["inference", "static"])),
    needed("function_name", &Shape::Text),
    key("description", &Shape::Text),
    key("evaluators", &EVALUATORS),
];

pub(super) static EVALUATORS: Shape = Shape::Idle(&EVALUATORS_SHAPE);
static EVALUATORS_SHAPE: Shape = Shape::Map(&EVALUATOR_SHAPE);
static EVALUATOR_SHAPE: Shape = Shape::Typed(&EVALUATOR);
static JUDGES: Shape = Shape::Map(&JUDGE_SHAPE);
static JUDGE_SHAPE: Shape = Shape::Typed(&JUDGE);

const OPTIMIZE: Key = needed("optimize", &Shape::Word(&["min", "max"]));
const OUTPUT: Key = needed("output_type", &Shape::Word(&["float", "boolean"]));
const CUTOFF: Key = key("cutoff", &Shape::Number);

static EVALUATOR: Typed = Typed {
    what: "evaluator",
    common: &[],
    renamed: &[],
    open: false,
    arms: &[
        ("exact_match", &[CUTOFF]),
        (
            "llm_judge",
            &[
                key("input_format", &Shape::Word(&["serialized", "messages"])),
                needed("variants", &JUDGES),
                OUTPUT,
                OPTIMIZE,
                key("include", &Shape::Table(&[key("reference_output", &Shape::Flag)])),
                key("description", &Shape::Text),
                CUTOFF,
            ],
        ),
        (
            "tool_use",
            &[needed("behavior", &Shape::Word(&["none", "none_of", "any", "any_of", "all_of"])), key("tools", &TEXTS)],
        ),
        ("regex", &[key("must_match", &Shape::Text), key("must_not_match", &Shape::Text)]),
        ("typescript", &[needed("typescript_file", &Shape::File), OUTPUT, OPTIMIZE]),
    ],
};

const ACTIVE: Key = key("active", &Shape::Flag);

/// A judge's chat completion.
const COMPLETION: &[Key] = &joined::<18>(&[
    &[
        ACTIVE,
        needed("model", &Shape::Text),
        needed("system_instructions", &Shape::File),
        needed("json_mode", &Shape::Word(JSON_MODES)),
    ],
    ASKING,
    THINKING,
]);

const IN_CONTEXT: &[Key] = &joined::<16>(&[
    &[
        ACTIVE,
        needed("embedding_model", &Shape::Text),
        needed("k", &Shape::Short),
        needed("model", &Shape::Text),
        key("system_instructions", &Shape::File),
        key("json_mode", &Shape::Word(JSON_MODES)),
    ],
    ASKING,
]);

static JUDGE: Typed = Typed {
    what: "variant",
    common: &[],
    renamed: &[("experimental_best_of_n", "experimental_best_of_n_sampling")],
    open: false,
    arms: &[
        ("chat_completion", COMPLETION),
        ("experimental_chain_of_thought", COMPLETION),
        (
            "experimental_best_of_n_sampling",
            &[
                ACTIVE,
                key("timeout_s", &Shape::Number),
                needed("candidates", &TEXTS),
                needed("evaluator", &Shape::Table(COMPLETION)),
            ],
        ),
        (
            "experimental_mixture_of_n",
            &[
                ACTIVE,
                key("timeout_s", &Shape::Number),
                needed("candidates", &TEXTS),
                needed("fuser", &Shape::Table(COMPLETION)),
            ],
        ),
        ("experimental_dynamic_in_context_learning", IN_CONTEXT),
    ],
};

pub(super) static OPTIMIZERS: Shape = Shape::Idle(&OPTIMIZERS_SHAPE);
static OPTIMIZERS_SHAPE: Shape = Shape::Map(&OPTIMIZER_SHAPE);
static OPTIMIZER_SHAPE: Shape = Shape::Typed(&OPTIMIZER);
const BASE_MODEL: Key = needed("model", &Shape::Text);
const FUNCTION: Key = needed("function_name", &Shape::Text);

/// Keys beyond these are not looked at by TensorZero either.
static OPTIMIZER: Typed = Typed {
    what: "optimizer",
    common: &[],
    renamed: &[],
    open: true,
    arms: &[
        ("dicl", &[needed("embedding_model", &Shape::Text), needed("variant_name", &Shape::Text), FUNCTION]),
        ("openai_sft", &[BASE_MODEL]),
        ("openai_rft", &[BASE_MODEL, needed("grader", &Shape::Any)]),
        ("fireworks_sft", &[BASE_MODEL]),
        ("gcp_vertex_gemini_sft", &[BASE_MODEL]),
        ("together_sft", &[BASE_MODEL]),
        ("gepa", &[FUNCTION, needed("analysis_model", &Shape::Text), needed("mutation_model", &Shape::Text)]),
    ],
};

pub(super) static OBJECT_STORAGE: Shape = Shape::Idle(&STORE_SHAPE);
static STORE_SHAPE: Shape = Shape::Typed(&STORE);

static STORE: Typed = Typed {
    what: "store",
    common: &[],
    renamed: &[],
    open: true,
    arms: &[
        (
            "s3_compatible",
            &[
                key("endpoint", &Shape::Text),
                key("bucket_name", &Shape::Text),
                key("region", &Shape::Text),
                key("allow_http", &Shape::Flag),
            ],
        ),
        ("filesystem", &[needed("path", &Shape::Text)]),
        ("disabled", &[]),
    ],
};

pub(super) static POSTGRES: Shape = Shape::Idle(&Shape::Open(&[
    key("enabled", &Shape::Flag),
    key("connection_pool_size", &Shape::Whole),
    key("inference_metadata_retention_days", &Shape::Whole),
    key("inference_data_retention_days", &Shape::Whole),
    key("inference_retention_days", &Shape::Whole),
]));

pub(super) static AUTOPILOT: Shape = Shape::Idle(&Shape::Table(&[key("tool_whitelist", &TEXTS)]));
