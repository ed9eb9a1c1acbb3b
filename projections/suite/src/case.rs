//! The parts of a case.

use crate::harness::Harness;
use claviger_projections::ports::{
    AdvanceError, AppendError, BoxFuture, FlushError, ReplaceError, StoreError,
};
use std::fmt;

/// How a store broke its contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(format!("the store failed: {error}"))
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        Self(format!("an append was refused: {error}"))
    }
}

impl From<AdvanceError> for Failure {
    fn from(error: AdvanceError) -> Self {
        Self(format!("an advance was refused: {error}"))
    }
}

impl From<ReplaceError> for Failure {
    fn from(error: ReplaceError) -> Self {
        Self(format!("a repair was refused: {error}"))
    }
}

impl From<FlushError> for Failure {
    fn from(error: FlushError) -> Self {
        Self(format!("a flush was refused: {error}"))
    }
}

/// The outcome of a case.
pub type Outcome = Result<(), Failure>;

/// One guarantee of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The guarantee, as a sentence.
    pub name: &'static str,
    /// Tests the guarantee.
    pub run: for<'a> fn(&'a dyn Harness) -> BoxFuture<'a, Outcome>,
}

/// Defines cases and registers them, so that no case can be missing from the list.
macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($harness:ident) $body:block)+) => {
        /// The cases of this file.
        pub(super) const CASES: &[$crate::Case] =
            &[$($crate::Case { name: stringify!($name), run: |harness| Box::pin($name(harness)) }),+];

        $($(#[$doc])* async fn $name($harness: &dyn $crate::Harness) -> $crate::Outcome {
            $body
            Ok(())
        })+
    };
}

/// Fails the case unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::Failure(format!($($text)+)));
        }
    };
}

/// Fails the case unless two values are equal.
macro_rules! equal {
    ($found:expr, $expected:expr, $($what:tt)+) => {{
        // A match keeps temporaries of both sides alive.
        match (&$found, &$expected) {
            (found, expected) if found != expected => {
                let what = format!($($what)+);
                return Err($crate::Failure(format!("{what}: found {found:?}, expected {expected:?}")));
            }
            _ => {}
        }
    }};
}

pub(super) use {cases, ensure, equal};
