//! What a caller may want done.

/// What the caller wants done; each protocol has an endpoint for some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A model answers (chat completions, messages, generateContent).
    Generate,
    /// Vectors for texts.
    Embed,
    /// How many tokens a request would take.
    CountTokens,
    /// A conversation made shorter by its provider (OpenAI Responses).
    Compact,
    /// Documents sorted by how well they answer a query, in Cohere's and Jina's shape.
    Rerank,
    /// OpenAI's older `/completions`, a text that goes on.
    Complete,
    Moderate,
    /// Images from a text.
    Images,
    /// Images from images and a text.
    ImageEdits,
    ImageVariations,
    /// Speech from a text.
    Speech,
    /// Text from speech.
    Transcribe,
    /// English text from speech.
    TranslateSpeech,
    /// Files that a provider keeps.
    Files,
    /// Requests that a provider answers within hours.
    Batches,
    /// Large files, sent to a provider part by part.
    Uploads,
}

/// How an operation's request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    /// `multipart/form-data` (RFC 7578), or JSON where the caller has nothing to upload.
    Multipart,
    /// Several methods below the path, none of which names a model: things that a provider keeps.
    Kept,
}

/// An operation that no protocol translates: it reaches upstreams that have it under OpenAI's paths and in OpenAI's shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// Below the base URL.
    pub path: &'static str,
    pub form: Form,
}

/// Name in YAML and in dumps, and how it is relayed where it is not translated; in the order of [`Operation::ALL`].
const TABLE: [(Operation, &str, Option<Relayed>); Operation::COUNT] = [
    (Operation::Generate, "generate", None),
    (Operation::Embed, "embed", None),
    (Operation::CountTokens, "count_tokens", None),
    (Operation::Compact, "compact", None),
    (Operation::Rerank, "rerank", json("/rerank")),
    (Operation::Complete, "completions", json("/completions")),
    (Operation::Moderate, "moderations", json("/moderations")),
    (Operation::Images, "images", json("/images/generations")),
    (Operation::ImageEdits, "image_edits", multipart("/images/edits")),
    (Operation::ImageVariations, "image_variations", multipart("/images/variations")),
    (Operation::Speech, "speech", json("/audio/speech")),
    (Operation::Transcribe, "transcriptions", multipart("/audio/transcriptions")),
    (Operation::TranslateSpeech, "translations", multipart("/audio/translations")),
    (Operation::Files, "files", Some(Relayed { path: "/files", form: Form::Kept })),
    (Operation::Batches, "batches", Some(Relayed { path: "/batches", form: Form::Kept })),
    (Operation::Uploads, "uploads", Some(Relayed { path: "/uploads", form: Form::Kept })),
];

const fn json(path: &'static str) -> Option<Relayed> {
    Some(Relayed { path, form: Form::Json })
}

const fn multipart(path: &'static str) -> Option<Relayed> {
    Some(Relayed { path, form: Form::Multipart })
}

impl Operation {
    pub const COUNT: usize = 16;
    pub const ALL: [Operation; Operation::COUNT] = [
        Operation::Generate,
        Operation::Embed,
        Operation::CountTokens,
        Operation::Compact,
        Operation::Rerank,
        Operation::Complete,
        Operation::Moderate,
        Operation::Images,
        Operation::ImageEdits,
        Operation::ImageVariations,
        Operation::Speech,
        Operation::Transcribe,
        Operation::TranslateSpeech,
        Operation::Files,
        Operation::Batches,
        Operation::Uploads,
    ];

    /// The name in YAML, under `paths` and `operations`, and in dumps.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The operation of that name that is relayed.
    pub fn relayed_by_name(name: &str) -> Option<Operation> {
        TABLE.iter().find(|(_, known, relayed)| *known == name && relayed.is_some()).map(|(operation, ..)| *operation)
    }

    /// How it is relayed; `None` for operations that are translated.
    pub fn relayed(self) -> Option<Relayed> {
        self.row().2
    }

    /// Whether its request may be a form.
    pub fn takes_forms(self) -> bool {
        self.relayed().is_some_and(|relayed| relayed.form == Form::Multipart)
    }

    /// Whether it is about things that a provider keeps, and no call of a model.
    pub fn is_of_kept(self) -> bool {
        self.relayed().is_some_and(|relayed| relayed.form == Form::Kept)
    }

    /// The relayed call of a model at a path below `/v1`.
    pub fn at(path: &str) -> Option<Operation> {
        let here = |relayed: &Option<Relayed>| {
            relayed.is_some_and(|relayed| relayed.path == path && relayed.form != Form::Kept)
        };
        TABLE.iter().find(|(_, _, relayed)| here(relayed)).map(|(operation, ..)| *operation)
    }

    /// Whether a model says something new: parameters and system texts of presets are for such calls.
    pub fn takes_settings(self) -> bool {
        self.relayed().is_none() && self != Operation::Compact
    }

    /// Whether its streamed form is one whose end is known: other streams are events of the vendor's own.
    pub fn streams(self) -> bool {
        matches!(self, Operation::Generate | Operation::Complete)
    }

    /// Whether what it counts are tokens of text.
    pub fn is_of_text(self) -> bool {
        matches!(
            self,
            Operation::Generate | Operation::Embed | Operation::CountTokens | Operation::Compact | Operation::Complete
        )
    }

    /// Position in [`Operation::ALL`], for arrays indexed by operation.
    pub fn index(self) -> usize {
        self as usize
    }

    #[expect(clippy::indexing_slicing, reason = "the table has a row for every operation, as a test says")]
    fn row(self) -> &'static (Operation, &'static str, Option<Relayed>) {
        &TABLE[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_operations() {
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!((operation.index(), operation.row().0), (at, operation), "{operation:?}");
        }
    }

    #[test]
    fn relayed_operations_are_found_by_path_and_by_name() {
        for operation in Operation::ALL {
            let relayed = operation.relayed();
            assert_eq!(Operation::relayed_by_name(operation.name()), relayed.map(|_| operation));
            let called = relayed.filter(|_| !operation.is_of_kept());
            assert_eq!(relayed.and_then(|relayed| Operation::at(relayed.path)), called.map(|_| operation));
        }
        assert_eq!(Operation::at("/chat/completions"), None);
    }
}
