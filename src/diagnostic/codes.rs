//! Every diagnostic's code. A number that appeared in a release is never used again.
//!
//! Ranges: 1–19 YAML, 20–59 shape of the document, 60–99 names, providers and targets, 100–139 rules and route
//! expressions, 140–159 secrets and environment, 160–179 tests, 180–199 the reload itself, 200–219 files of
//! other gateways.

use super::Severity;

macro_rules! codes {
    ($($name:ident = $number:literal, $severity:ident;)*) => {
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

            /// What `routeplane check --explain RP0042` prints: what it means, an example, how to mend it. The text of
            /// `Name` is the file `explanations/Name.md`.
            pub fn explanation(self) -> &'static str {
                let page = match self { $(Code::$name => include_str!(concat!("explanations/", stringify!($name), ".md")),)* };
                page.trim_end()
            }
        }
    };
}

codes! {
    // 1–19: YAML
    YamlSyntax = 1, Error;
    FileTooLarge = 2, Error;
    SeveralDocuments = 3, Error;
    DuplicateKey = 4, Error;
    MergeKey = 5, Error;
    KeyNotText = 6, Error;
    YamlTag = 7, Error;
    AliasOfItself = 8, Error;
    TooDeep = 9, Error;
    TooManyValues = 10, Error;

    // 20–59: shape of the document
    UnknownKey = 20, Error;
    WrongType = 21, Error;
    BadValue = 22, Error;
    BadName = 23, Error;
    JoinedRules = 24, Error;

    // 60–99: names, providers and targets
    UnknownProvider = 60, Error;
    UnknownPreset = 61, Error;
    NotATarget = 62, Error;
    PresetCycle = 63, Error;
    DuplicateTarget = 64, Warning;
    RouteTooLarge = 65, Error;
    DenyNotAlone = 66, Error;
    EmptySplit = 67, Error;
    BadProvider = 70, Error;
    BadHeader = 74, Error;
    OwnAddress = 75, Error;
    BadListen = 80, Error;
    OpenListen = 81, Error;
    KeyWithoutSecret = 82, Error;
    PresetWithoutRoute = 85, Error;
    BadPointer = 88, Error;
    BadSystem = 89, Error;
    BadOutput = 90, Error;
    BadBound = 91, Error;
    NoFallback = 92, Warning;
    BadTemplate = 93, Error;
    BadTensorzero = 96, Error;
    BadRateLimit = 97, Error;
    IdleRateLimit = 98, Warning;

    // 100–139: rules and route expressions
    RuleSyntax = 100, Error;
    UnknownFact = 101, Error;
    TypeMismatch = 102, Error;
    LiveStateInCondition = 103, Error;
    NestingTooDeep = 104, Error;
    RuleTooLong = 105, Error;
    UnknownStrategy = 106, Error;
    BadNumber = 107, Error;
    BadWeight = 108, Error;
    UnreachableRule = 110, Warning;
    NeverHolds = 111, Warning;
    AlwaysHolds = 112, Warning;
    Undecided = 113, Warning;
    UncoveredRequests = 114, Info;
    RulesOverlap = 115, Info;
    LacksCapability = 116, Warning;
    UnreachedFallback = 117, Warning;
    UnusedPreset = 118, Warning;
    UnusedProvider = 119, Warning;
    BadArgument = 120, Error;
    IncompleteStrategy = 121, Error;
    BadAmount = 122, Error;
    NothingToChoose = 123, Warning;
    UnknownPrice = 124, Warning;
    UnknownParameter = 125, Warning;

    // 140–159: secrets and environment
    LiteralSecret = 140, Warning;
    Interpolation = 141, Error;
    SecretCommand = 142, Error;
    MissingVariable = 143, Warning;

    // 160–179: tests
    TestFailed = 160, Error;
    TestUnknownName = 161, Error;
    TestWithoutExpectation = 162, Error;
    TestContradiction = 163, Error;
    TestBody = 164, Error;
    TestTwice = 165, Warning;

    // 180–199: the reload itself
    ConfigMissing = 180, Error;
    ConfigUnreadable = 181, Error;
    ConfigEmpty = 182, Error;
    ConfigShrunk = 183, Error;
    ListenFailed = 184, Error;
    RuntimeFailed = 185, Error;
    CompileFailed = 186, Error;
    Draining = 187, Error;
    ListenExposed = 188, Error;

    // 200–219: files of other gateways
    NotToml = 200, Error;
    SettingUnknown = 201, Error;
    SettingType = 202, Error;
    SettingValue = 203, Error;
    SettingMissing = 204, Error;
    SettingTwice = 205, Error;
    SettingName = 206, Error;
    SettingFile = 207, Error;
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RP{:04}", self.number())
    }
}
