//! The macro that makes the enum of an aggregate's commands from a list.

/// Makes the enum, its `decide` and a `From` for each command. `=> Ok` marks a command that is
/// never refused and whose `decide` returns the events themselves.
macro_rules! commands {
    (
        $(#[$meta:meta])*
        $name:ident on $state:ident: $event:ident, $error:ident {
            $($command:ident $(=> $ok:ident)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "each variant is its command, documented there")]
        pub enum $name { $($command($command)),+ }

        impl $name {
            /// Returns the events that the command leads to; none when the state already is as
            /// requested.
            ///
            /// # Errors
            /// The aggregate's error: its state stays as it is.
            pub fn decide(self, state: &$state) -> Result<Vec<$event>, $error> {
                match self {
                    $(Self::$command(command) => {
                        $($ok)?($command::decide(command, state))
                    })+
                }
            }
        }

        $(impl From<$command> for $name {
            fn from(command: $command) -> Self {
                Self::$command(command)
            }
        })+
    };
}
pub(crate) use commands;
