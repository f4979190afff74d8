//! How the process ends. The numbers are those of sysexits.h where it has one.

use std::process::{ExitCode, Termination};

macro_rules! exits {
    ($($(#[doc = $meaning:literal])+ $name:ident = $number:literal;)*) => {
        /// An exit code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit { $($(#[doc = $meaning])+ $name = $number,)* }

        impl Exit {
            /// Every code, in order.
            pub const ALL: &'static [Exit] = &[$(Exit::$name,)*];

            pub fn number(self) -> u8 {
                self as u8
            }

            /// What it means, for the reference.
            pub fn meaning(self) -> &'static str {
                match self { $(Exit::$name => concat!($($meaning),+).trim_ascii(),)* }
            }
        }
    };
}

exits! {
    /// It worked. For `reload`: the file is live, or was so already.
    Done = 0;
    /// Something that is not the configuration kept the command from running.
    Failed = 1;
    /// The command line is wrong. For `import-tensorzero` also: imported, with warnings.
    Usage = 2;
    /// `check` has findings. For `import-tensorzero`: imported, with a loss that breaks requests.
    Findings = 3;
    /// `import-tensorzero`: TensorZero itself would refuse the input.
    Refused = 4;
    /// The configuration file is not there.
    NoInput = 66;
    /// The address is in use, or no running gateway can be reached.
    Unavailable = 69;
    /// What was waited for did not happen in time. It may still happen.
    Timeout = 75;
    /// A file, an address or a process may not be used by this user.
    Denied = 77;
    /// The configuration is invalid or cannot be read, or a secret that it names cannot be had.
    BadConfig = 78;
}

impl Exit {
    /// The code of a child process, where it is one of these.
    pub fn from_number(number: i32) -> Option<Exit> {
        Exit::ALL.iter().copied().find(|exit| i32::from(exit.number()) == number)
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}
