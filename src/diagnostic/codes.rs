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

    JoinedRules = 24, Error, "Without `|` YAML makes one line of several, and the second rule becomes a part of the first.

Wrong:

    rules:
      when model == \"auto\" -> @default
      otherwise -> as requested

Right:

    rules: |
      when model == \"auto\" -> @default
      otherwise -> as requested
";

    // 60–99: names, providers and targets
    UnknownProvider = 60, Error, "A target names a provider that neither the file nor this version knows. What stands before the first `/` of a target is a provider: one of `providers:`, or one that is built in (`routeplane providers` lists them).

Wrong:

    presets: { default: opnai/gpt-5 }

Right:

    presets: { default: openai/gpt-5 }
";
    UnknownPreset = 61, Error, "An expression names a preset that the file does not define.

Wrong:

    rules: otherwise -> @chep

Right:

    rules: otherwise -> @cheap
";
    NotATarget = 62, Error, "A target is `provider/model`, `@preset`, `as requested`, `deny STATUS` or a strategy. The name of a model alone is not enough in the file: which provider serves it would depend on the keys at hand.

Wrong:

    presets: { default: gpt-5 }

Right:

    presets: { default: openai/gpt-5 }
";
    PresetCycle = 63, Error, "A preset leads back to itself, so that its route would never end. Remove one of the steps that the message shows.

Wrong:

    presets: { a: \"@b\", b: \"@a\" }

Right:

    presets: { a: \"@b\", b: openai/gpt-5 }
";
    DuplicateTarget = 64, Warning, "A route reaches one target twice with the same settings. The second time it is left out: it has just failed.

Wrong:

    presets: { a: openai/gpt-5 > openai/gpt-5 }

Right:

    presets: { a: openai/gpt-5 > anthropic/claude-sonnet-4-6 }
";
    RouteTooLarge = 65, Error, "Presets that name presets multiply. A route may reach 10,000 targets, and all routes together 200,000.

Wrong:

    presets: { a: \"x/1 > x/2 > ...\", b: \"@a > @a > ...\", c: \"@b > @b > ...\" }

Right:

    presets: { a: \"x/1 > x/2\", b: \"@a > y/1\" }
";
    DenyNotAlone = 66, Error, "`deny` refuses a request before any target is tried, so it stands alone: it is the whole outcome of a rule or of a preset.

Wrong:

    rules: otherwise -> openai/gpt-5 > deny 503

Right:

    rules: otherwise -> openai/gpt-5
";
    EmptySplit = 67, Error, "Every weight of a `split` is 0, so that nothing can be drawn.

Wrong:

    presets: { a: \"split(0 openai/gpt-5, 0 openai/gpt-5-mini)\" }

Right:

    presets: { a: \"split(1 openai/gpt-5, 0 openai/gpt-5-mini)\" }
";
    BadProvider = 70, Error, "A provider cannot be used as it is described. One of your own needs a `protocol` and a `base_url`, which is what the vendor's own SDK takes.

Wrong:

    providers: { gpu-box: { protocol: openai-chat } }

Right:

    providers: { gpu-box: { protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\" } }
";
    BadHeader = 74, Error, "A header whose name or value HTTP does not allow, or whose name the gateway sets by itself (`host`, `content-length`, `authorization` of a preset, ...).

Wrong:

    presets: { a: { route: openai/gpt-5, headers: { set: { host: example.com } } } }

Right:

    presets: { a: { route: openai/gpt-5, headers: { set: { x-team: lab } } } }
";
    OwnAddress = 75, Error, "A provider is at the very address where the gateway listens, so every request to it would come back as another request, without end. Most often `OPENAI_BASE_URL` or a variable like it was set for the programs that call the gateway, and the gateway was started in the same shell.

Wrong:

    listen: 127.0.0.1:4356
    providers: { openai: { base_url: \"http://localhost:4356/v1\" } }

Right:

    listen: 127.0.0.1:4356
    providers: { openai: {} }
";
    BadListen = 80, Error, "`listen` is the address of one of this machine's interfaces and a port. Names other than `localhost` are not looked up, because a file must mean the same everywhere.

Wrong:

    listen: gateway.example.com:4356

Right:

    listen: 127.0.0.1:4356
";
    OpenListen = 81, Error, "An address that other machines can reach needs client keys: without them anyone could spend the keys of your providers.

Wrong:

    listen: 0.0.0.0:4356

Right:

    listen: 0.0.0.0:4356
    keys: { ci: env:CI_KEY }
";
    KeyWithoutSecret = 82, Error, "A client key needs its secret.

Wrong:

    keys: { ci: { team: lab } }

Right:

    keys: { ci: { key: env:CI_KEY, team: lab } }
";
    PresetWithoutRoute = 85, Error, "A preset needs a `route`: the expression that its name stands for.

Wrong:

    presets: { cheap: { params: { temperature: 0 } } }

Right:

    presets: { cheap: { route: openai/gpt-5-mini, params: { temperature: 0 } } }
";
    BadPointer = 88, Error, "Edits of `body` name members by JSON Pointer (RFC 6901), which begins with `/`.

Wrong:

    body: { remove: [user] }

Right:

    body: { remove: [/user] }
";
    BadSystem = 89, Error, "The file of the system text cannot be read, or the text is a template. This version sends texts as they are, so `{{` and `{%` are refused rather than sent.

Wrong:

    system: \"You help {{ name }}\"

Right:

    system: You help our customers
";
    BadOutput = 90, Error, "`output` of a preset is a JSON Schema that its answers must satisfy, written in the file or the path of a `.json` file. It must be a valid schema that refers to nothing outside of itself.

Wrong:

    presets: { facts: { route: openai/gpt-5, output: { type: objekt } } }

Right:

    presets: { facts: { route: openai/gpt-5, output: { type: object, properties: { fact: { type: string } } } } }
";
    BadBound = 91, Error, "A number lies outside what can work, for example no attempt at all or a port that does not exist.

Wrong:

    retries: { attempts: 0 }

Right:

    retries: { attempts: 1 }
";
    NoFallback = 92, Warning, "`on_invalid: fallback` hands a request whose answer is invalid to the next target, but this preset has one target and no other preset or rule puts one behind it.

Wrong:

    presets: { facts: { route: openai/gpt-5, on_invalid: fallback } }

Right:

    presets: { facts: { route: [openai/gpt-5, anthropic/claude-sonnet-4-6], on_invalid: fallback } }
";

    // 100–139: rules and route expressions
    RuleSyntax = 100, Error, "A rule is `when CONDITION -> TARGET` or `otherwise -> TARGET`; a target is `a/b > @preset`, `split(95 a/b, 5 c/d)`, `as requested` or `deny 403 \"why\"`. Each rule begins at the margin, and an indented line continues it.

Wrong:

    rules: when model = \"auto\" then @cheap

Right:

    rules: when model == \"auto\" -> @cheap
";
    UnknownFact = 101, Error, "A condition asks for something that is not a fact of the request.

Wrong:

    rules: when tokens > 150k -> @long

Right:

    rules: when input_tokens > 150k -> @long
";
    TypeMismatch = 102, Error, "A fact meets a value of another type, or an operator that its type does not have. Texts are in quotes, numbers are not, and words such as `high` or `sat` stand bare.

Wrong:

    rules: when images > \"0\" -> @vision

Right:

    rules: when images > 0 -> @vision
";
    LiveStateInCondition = 103, Error, "Conditions are decided from the request alone, so that every decision can be explained and repeated. Health, latency and price are the business of targets: `a/b > c/d` skips what is down.

Wrong:

    rules: when health(\"openai\") == \"down\" -> anthropic/claude-sonnet-4-6

Right:

    rules: otherwise -> openai/gpt-5 > anthropic/claude-sonnet-4-6
";
    NestingTooDeep = 104, Error, "Parentheses and brackets may nest 64 levels deep.

Wrong:

    rules: when ((((...)))) -> @a

Right:

    rules: when stream and has tools -> @a
";
    PlannedStrategy = 105, Error, "The strategy is part of the language, but not of this version, which has fallback and `split`.

Wrong:

    presets: { a: \"cheapest(openai/gpt-5, groq/llama-3.3-70b)\" }

Right:

    presets: { a: openai/gpt-5 > groq/llama-3.3-70b }
";
    UnknownStrategy = 106, Error, "An expression calls something that is not a strategy.

Wrong:

    presets: { a: \"spilt(95 openai/gpt-5, 5 openai/gpt-5-mini)\" }

Right:

    presets: { a: \"split(95 openai/gpt-5, 5 openai/gpt-5-mini)\" }
";
    BadNumber = 107, Error, "A number is digits, with `k` for thousands or `M` for millions. The status of a refusal is 400 to 599.

Wrong:

    rules: when input_tokens > 1.5M -> @long

Right:

    rules: when input_tokens > 1500k -> @long
";
    BadWeight = 108, Error, "Every arm of a `split` has a whole number before it. Weights need not add up to 100; 0 means: only as a fallback.

Wrong:

    presets: { a: \"split(openai/gpt-5, openai/gpt-5-mini)\" }

Right:

    presets: { a: \"split(95 openai/gpt-5, 5 openai/gpt-5-mini)\" }
";
    UnreachableRule = 110, Warning, "The rule can never fire, because a rule above it takes every request that it would take.

Wrong:

    rules: |
      otherwise -> as requested
      when has tools -> @tools

Right:

    rules: |
      when has tools -> @tools
      otherwise -> as requested
";

    NeverHolds = 111, Warning, "No request can meet the condition, or a part of it. Facts have bounds (an hour is at most 23), client keys are those of the file, and two comparisons of one fact may exclude each other.

Wrong:

    rules: when input_tokens > 200k and input_tokens < 100k -> @long

Right:

    rules: when input_tokens > 100k and input_tokens < 200k -> @long
";
    AlwaysHolds = 112, Warning, "Every request meets the condition, or a part of it, so that it decides nothing.

Wrong:

    rules: when model != \"a\" or model != \"b\" -> @other

Right:

    rules: when model not in [\"a\", \"b\"] -> @other
";
    Undecided = 113, Warning, "What a rule can do follows from its condition, but finding out may take more steps than there are atoms. Checking stops after a fixed number of steps, which no file comes near that people write, and says what it does not know. The rule works as it is written.

Wrong:

    rules: when (stream or images > 1) and (not stream or files > 1) and ... -> @a

Right:

    rules: |
      when stream and files > 1 -> @a
      when not stream and images > 1 -> @a
";
    UncoveredRequests = 114, Info, "Some requests meet no rule. They are routed as their model says, as if the last rule were `otherwise -> as requested`. `check --info` says so.

Wrong:

    rules: when model == \"auto\" -> @default

Right:

    rules: |
      when model == \"auto\" -> @default
      otherwise -> as requested
";
    RulesOverlap = 115, Info, "Two rules are for the same request and lead to different places, so that their order decides. That is how a special case stands above the general one; `check --info` lists such pairs for a look.

Wrong:

    rules: |
      when stream -> @fast
      when has tools -> @careful

Right:

    rules: |
      when stream and not has tools -> @fast
      when has tools -> @careful
";
    LacksCapability = 116, Warning, "Every request that a rule takes needs something of the model (images, audio, tools, a large window, embeddings) that a target of the rule lacks, as far as the catalogue of models knows.

Wrong:

    rules: when images > 0 -> groq/openai/gpt-oss-120b

Right:

    rules: when images > 0 -> google/gemini-2.5-flash
";
    UnreachedFallback = 117, Warning, "A member of a chain is never tried. What stands before it does not fail over: a refusal (`deny`) is an answer, and `as requested` has been tried already.

Wrong:

    presets: { blocked: deny 403, a: \"@blocked > openai/gpt-5\" }

Right:

    presets: { blocked: deny 403, a: openai/gpt-5 }
";
    UnusedPreset = 118, Warning, "No request comes to the preset: no rule that can fire leads to it, and requests that name it are taken by rules that lead elsewhere.

Wrong:

    presets: { cheap: openai/gpt-5-mini, default: openai/gpt-5 }
    rules: otherwise -> @default

Right:

    presets: { cheap: openai/gpt-5-mini, default: openai/gpt-5 }
    rules: |
      when model == \"auto\" -> @default
      otherwise -> as requested
";
    UnusedProvider = 119, Warning, "No request comes to the provider: no rule that can fire and no preset in use leads to it, and requests that name it are taken by rules that lead elsewhere.

Wrong:

    providers: { openai: {}, anthropic: {} }
    rules: otherwise -> openai/gpt-5

Right:

    providers: { openai: {}, anthropic: {} }
    rules: otherwise -> openai/gpt-5 > anthropic/claude-sonnet-4-6
";

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
    MissingVariable = 143, Warning, "A variable that the file needs is not set here. `check` is content without it, as in CI; requests to that provider are refused until it is set.

Wrong:

    providers: { openai: { key: env:OPENAI_KEY } }

Right:

    providers: { openai: { key: env:OPENAI_API_KEY } }
";

    // 160–179: tests
    TestFailed = 160, Error, "The file decides otherwise than one of its tests expects. The message shows the decision; mend the rules, or the expectation.

Wrong:

    tests: [{ request: { model: openai/gpt-5 }, expect: { attempts: [openai/gpt-4o] } }]

Right:

    tests: [{ request: { model: openai/gpt-5 }, expect: { attempts: [openai/gpt-5] } }]
";
    TestUnknownName = 161, Error, "A test names a target, a provider or a client key that the file does not have.

Wrong:

    given: { down: [opnai] }

Right:

    given: { down: [openai] }
";
    TestWithoutExpectation = 162, Error, "A test without an expectation cannot fail. Give it one of `rule`, `route`, `attempts`, `served_by`, `denied` and `lane`.

Wrong:

    tests: [{ request: { model: auto } }]

Right:

    tests: [{ request: { model: auto }, expect: { rule: 1 } }]
";

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
