//! Whose service speaks a protocol, where that is not its inventor's.

use std::fmt;

/// Clouds host protocols of others at paths of their own, with the model in the path, a version in the body, and sometimes
/// another framing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Hosting {
    /// As the protocol's inventor serves it.
    #[default]
    Own,
    /// Google Vertex AI.
    Vertex,
    /// AWS Bedrock, by `InvokeModel`.
    Bedrock,
}

impl Hosting {
    pub const ALL: [Hosting; 3] = [Hosting::Own, Hosting::Vertex, Hosting::Bedrock];

    /// The name in YAML and in dumps.
    pub fn name(self) -> &'static str {
        match self {
            Hosting::Own => "own",
            Hosting::Vertex => "vertex",
            Hosting::Bedrock => "bedrock",
        }
    }

    pub fn from_name(name: &str) -> Option<Hosting> {
        Hosting::ALL.into_iter().find(|hosting| hosting.name() == name)
    }
}

impl fmt::Display for Hosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
