//! Every diagnostic's code. A number that appeared in a release is never used again.
//!
//! Ranges: 1–19 YAML, 20–59 shape of the document, 60–99 names, providers and targets, 100–139 rules and route
//! expressions, 140–159 secrets and environment, 160–179 tests, 180–199 the reload itself.

use super::Severity;

macro_rules! codes {
    ($($name:ident = $number:literal, $severity:ident, $explanation:literal;)*) => {
        /// The code of a diagnostic, printed as `RP0042`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($name = $number,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            pub fn number(self) -> u16 {
                self as u16
            }

            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }

            /// What `routeplane check --explain RP0042` prints: what it means, an example, how to mend it.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$name => $explanation,)* }
            }
        }
    };
}

codes! {
    // 1–19: YAML
    YamlSyntax = 1, Error, "The file is not YAML. The caret shows where the parser gave up; the mistake is often on the line above: an unclosed quote or bracket, a tab used to indent, or a `: ` inside a text without quotes.

Wrong:

    presets: { default: openai/gpt-5

Right:

    presets: { default: openai/gpt-5 }
";
    FileTooLarge = 2, Error, "The file is longer than one mebibyte. Reading stops before it costs memory. Long prompts belong into files of their own, which `system:` names.

Wrong:

    presets: { support: { system: \"... a whole handbook ...\" } }

Right:

    presets: { support: { system: prompts/support.md } }
";
    SeveralDocuments = 3, Error, "YAML allows several documents in one file, divided by `---`. This file must be one document, because nothing says how two would be combined.

Wrong:

    version: 1
    ---
    presets: { default: openai/gpt-5 }

Right:

    version: 1
    presets: { default: openai/gpt-5 }
";
    DuplicateKey = 4, Error, "One key is written twice in one mapping (or a key and its other spelling, such as `key` and `keys`). Many readers silently keep the last one; here nothing is guessed.

Wrong:

    presets:
      cheap: openai/gpt-5-mini
      cheap: groq/llama-3.3-70b

Right:

    presets:
      cheap: [openai/gpt-5-mini, groq/llama-3.3-70b]
";
    MergeKey = 5, Error, "The merge key `<<` was dropped from YAML with version 1.2. Share a whole mapping with an anchor instead, or write the keys out.

Wrong:

    timeout: { <<: *slow, total: 60s }

Right:

    timeout: *slow
";
    KeyNotText = 6, Error, "A key of a mapping is a list, a mapping or an alias. Keys are texts. A text that begins with `{`, `[`, `*` or `&` needs quotes.

Wrong:

    presets: { *name : openai/gpt-5 }

Right:

    presets: { fast: openai/gpt-5 }
";
    YamlTag = 7, Error, "A value carries a YAML tag such as `!!str` or `!secret`. Tags have no meaning in this file. To make text of a number, quote it; to refer to a secret, write `env:NAME`.

Wrong:

    params: { user: !!str 5 }

Right:

    params: { user: \"5\" }
";
    AliasOfItself = 8, Error, "An alias stands inside the value that its own anchor names, so the value would contain itself.

Wrong:

    params: &p { inner: *p }

Right:

    params: { inner: { depth: 1 } }
";
    TooDeep = 9, Error, "Values are nested more than 32 deep. No setting needs that; mostly a bracket is not closed. The limit keeps hostile files cheap.

Wrong:

    params: { a: [[[[[[ ... ]]]]]] }

Right:

    params: { a: [] }
";
    TooManyValues = 10, Error, "The file has more than 100,000 values, or its aliases copy more than four mebibytes of text. The limit keeps aliases of aliases from filling the memory.

Wrong:

    a: &a [x, x]
    b: &b [*a, *a]
    c: [*b, *b]  # and so on

Right:

    a: [x, x]
";

    // 20–59: shape of the document
    UnknownKey = 20, Error, "A key that this place does not know. Every key in the file has an effect, so a key without one is a mistake: a slip of the finger, or a key in the wrong mapping.

Wrong:

    presets: { fast: { rout: groq/llama-3.3-70b } }

Right:

    presets: { fast: { route: groq/llama-3.3-70b } }
";
    WrongType = 21, Error, "A value of another kind than the key needs: text where a number belongs, a list where a mapping belongs, a number without the unit of a duration. In YAML 1.2 `yes`, `no`, `on` and `off` are texts, not booleans.

Wrong:

    timeout: { total: 30 }

Right:

    timeout: { total: 30s }
";
    BadValue = 22, Error, "A value of the right kind that cannot be used here, such as a word that is not among those that are known.

Wrong:

    reload: { watch: always }

Right:

    reload: { watch: auto }
";
    BadName = 23, Error, "A name that cannot be one. Providers, presets and client keys are named with letters, digits, `.`, `_` and `-`, so that `provider/model` and `@preset` can be read in every expression. Header names follow HTTP.

Wrong:

    presets: { \"very fast\": groq/llama-3.3-70b }

Right:

    presets: { very-fast: groq/llama-3.3-70b }
";

    // 60–99: names, providers and targets

    // 100–139: rules and route expressions

    // 140–159: secrets and environment
    LiteralSecret = 140, Warning, "A key is written in the file itself. It works, but whoever reads the file, its backups or its history in Git has the key. The key is never printed or logged.

Wrong:

    providers: { openai: { key: sk-... } }

Right:

    providers: { openai: { key: env:OPENAI_API_KEY } }
";
    Interpolation = 141, Error, "`${NAME}` is how other programs put a variable into a text. Here a secret is a reference, so that its value is never part of the file, the table or a message.

Wrong:

    providers: { openai: { key: \"${OPENAI_API_KEY}\" } }

Right:

    providers: { openai: { key: env:OPENAI_API_KEY } }
";
    SecretCommand = 142, Error, "`cmd:` would run a program whenever the file is read, so whoever may edit the file could run anything. Run the program where the gateway is started and pass a variable or a file.

Wrong:

    providers: { openai: { key: \"cmd:pass openai\" } }

Right:

    providers: { openai: { key: env:OPENAI_API_KEY } }
";

    // 160–179: tests

    // 180–199: the reload itself
    ConfigMissing = 180, Error, "The configuration file is not there. While the gateway runs, what was live stays live, and the file is read again as soon as it is back.";
    ConfigUnreadable = 181, Error, "The configuration file cannot be read: it belongs to another user, is a folder, has more than 1 MiB, or is not UTF-8 text.";
    ConfigEmpty = 182, Error, "The configuration file says nothing. An empty file is most often one that is being written, so it is never taken for a wish to have no configuration; `version: 1` alone is the smallest file.";
    ConfigShrunk = 183, Error, "The file has lost all, or more than half, of its presets, rules or routes. A file that was cut off while it was written looks like that, so the running gateway refuses it. Set `reload: { allow_shrink: true }` in the new file if it is meant.";
    ListenFailed = 184, Error, "The address in `listen` cannot be used: another process has it, it does not belong to this machine, or the port needs more rights. While the gateway runs, it goes on listening where it did.";
    RuntimeFailed = 185, Error, "A secret that the file names cannot be had, for example because a key file cannot be read.";
    CompileFailed = 186, Error, "The file could not be compiled within its bounds of time. What was live stays live. Please report this with the file, without its secrets.";
    Draining = 187, Error, "The gateway is stopping, and takes no new configuration any more.";
    ListenExposed = 188, Error, "The address given with `--listen` can be reached from other machines, and the file has no `keys:`. Anybody who reaches it could spend the provider keys. Add client keys, or listen on 127.0.0.1.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RP{:04}", self.number())
    }
}
