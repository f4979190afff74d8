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
    YamlSyntax = 1, Error, "The file is not YAML. The caret shows where the parser gave up; the mistake is often on the line above: an unclosed quote or bracket, or a tab used to indent.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RP{:04}", self.number())
    }
}
