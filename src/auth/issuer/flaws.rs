//! What is wrong with tokens that are refused, for the operator's log: the client is told only that
//! its token is not valid. Anybody can send such tokens, so each flaw has one line in a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two lines about one flaw.
const PAUSE: Duration = Duration::from_secs(10);

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident = $claim:literal, $what:literal;)+) => {
        /// Why a token is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Flaw { $($(#[$doc])* $name,)+ }

        impl Flaw {
            const COUNT: usize = [$(Self::$name,)+].len();

            /// The claim or parameter at fault.
            const fn claim(self) -> &'static str {
                match self { $(Self::$name => $claim,)+ }
            }

            const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }
        }
    };
}

flaws! {
    Form = "token", "it is not a signed JWT";
    Type = "typ", "its type is neither at+jwt nor JWT";
    Extensions = "header", "it brings its own key or requires an extension";
    KeyId = "kid", "it names no key";
    UnknownKey = "kid", "the issuer has no key with this id";
    Algorithm = "alg", "no key of the issuer verifies this algorithm";
    Signature = "signature", "the issuer's key did not sign it";
    Issuer = "iss", "it is not CLAVIGER_JWKS_ISSUER";
    Audience = "aud", "CLAVIGER_JWKS_AUDIENCE is not among them";
    Subject = "sub", "it is missing, empty or too long";
    IssuedAt = "iat", "it is missing, no time, or ahead of this machine's clock";
    NotBefore = "nbf", "it is no time, or ahead of this machine's clock";
    Expires = "exp", "it is missing or no time";
    IdToken = "nonce", "this is an ID token, which grants no access";
}

/// Lines that were written, by flaw: when, and how many were left out since.
#[derive(Debug, Default)]
pub(super) struct Flaws(Mutex<[Option<(Instant, u64)>; Flaw::COUNT]>);

impl Flaws {
    pub(super) fn note(&self, flaw: Flaw) {
        let Some(unwritten) = self.turn(flaw, Instant::now()) else { return };
        tracing::warn!(
            claim = flaw.claim(),
            unwritten,
            "refused a token of the external issuer: {}",
            flaw.what()
        );
    }

    /// How many were left out since the last line, if there is one now.
    fn turn(&self, flaw: Flaw, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.get_mut(flaw as usize)?;
        if let Some((at, unwritten)) = line
            && now.duration_since(*at) < PAUSE
        {
            *unwritten = unwritten.saturating_add(1);
            return None;
        }
        Some(line.replace((now, 0)).map_or(0, |(_, unwritten)| unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_has_one_line_in_a_while_which_counts_the_others() {
        let (flaws, start) = (Flaws::default(), Instant::now());
        assert_eq!(flaws.turn(Flaw::Type, start), Some(0));
        for _ in 0..3 {
            assert_eq!(flaws.turn(Flaw::Type, start + PAUSE / 2), None);
        }
        assert_eq!(flaws.turn(Flaw::IdToken, start), Some(0), "another flaw");
        assert_eq!(flaws.turn(Flaw::Type, start + PAUSE), Some(3));
        assert_eq!(flaws.turn(Flaw::Type, start + PAUSE * 2), Some(0));
    }
}
