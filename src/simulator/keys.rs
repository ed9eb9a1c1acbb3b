//! The keys, whose text says what the upstream will do with them.

use claviger_domain::api_key::PREFIX;

/// What every API key of today begins with.
const KIND: &str = "sk-ant-api03-";

/// How many characters lie between [`KIND`] and the closing `AA`.
const MIDDLE: usize = 93;

macro_rules! scenarios {
    ($($variant:ident = $name:literal, $about:literal;)+) => {
        /// What the upstream does with a key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scenario {
            $(#[doc = $about] $variant,)+
        }

        impl Scenario {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that stands in the key.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happens, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

scenarios! {
    Good = "good", "Every call succeeds.";
    Revoked = "revoked", "401 on every call.";
    NoCredit400 = "no-credit-400", "400 `credit balance is too low` on messages; what is free succeeds.";
    NoCredit402 = "no-credit-402", "402 on messages; what is free succeeds.";
    SpendLimit400 = "spend-limit-400", "400, the organisation's own usage limit, on messages.";
    WorkspaceLimit400 = "workspace-limit-400", "400, the workspace's own usage limit, on messages.";
    OnHold = "on-hold", "400 with the code `organization_on_hold` on messages and counts.";
    ForbiddenModel = "forbidden-model", "403 on whatever names a model.";
    UnknownModel = "unknown-model", "404 on whatever names a model.";
    RateLimited = "rate-limited", "429 with `retry-after` in seconds on every call.";
    RateLimitedDate = "rate-limited-date", "429 with `retry-after` as an HTTP date on every call.";
    RateLimitedReset = "rate-limited-reset", "429 with nothing but `anthropic-ratelimit-*-reset` on every call.";
    SpendLimit429 = "spend-limit-429", "429 with the code `enforced_spend_limit_reached` on messages.";
    ContractLimit429 = "contract-limit-429", "429 with the code `contract_spend_limit_reached` on messages.";
    Conflict = "conflict", "409 on every call.";
    TooLarge = "too-large", "413 on every call.";
    BadRequest = "bad-request", "400 of another kind on every call.";
    Server500 = "server-500", "500 on every call.";
    Server503 = "server-503", "503 on every call.";
    Server504 = "server-504", "504 on every call.";
    Overloaded = "overloaded", "529 on every call.";
    Flaky = "flaky", "529 on the first message, then good.";
    Cut = "cut", "200 whose body ends half-way.";
    Reset = "reset", "The connection is closed without an answer.";
    Hang = "hang", "No answer until the client leaves.";
    Redirect = "redirect", "302 to another host.";
    WrongType = "wrong-type", "200 with a page of HTML.";
    Garbage = "garbage", "200 with broken JSON.";
    Huge = "huge", "200 with 80 MiB of JSON.";
    Slow = "slow", "200, piece by piece with pauses.";
    Echo = "echo", "400 that repeats the key in its text, its headers and its code.";
    StreamCut = "stream-cut", "A stream that is cut after two pieces of text; else good.";
    StreamCutOnce = "stream-cut-once", "The first message's stream is cut after two pieces, then good.";
    StreamError = "stream-error", "A stream with an `overloaded_error` event after two pieces; else good.";
    Split = "split", "A stream whose bytes come three at a time, so that characters and lines are torn; else good.";
    Refusal = "refusal", "Messages end with the stop reason `refusal`.";
    MaxTokens = "max-tokens", "Messages end with the stop reason `max_tokens`.";
}

impl Scenario {
    /// The scenario of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scenario| scenario.name() == name)
    }

    /// What a key says. `None` for what isn't an API key at all.
    pub fn of_key(key: &str) -> Option<Self> {
        if !key.strip_prefix(PREFIX)?.starts_with("api") {
            return None;
        }
        let middle = key.strip_prefix(KIND).unwrap_or_default();
        let fits = |scenario: &Self| {
            middle.strip_prefix(scenario.name()).is_some_and(|rest| rest.starts_with('-'))
        };
        // The longest name that fits, because `spend-limit-400` could be read as another's beginning.
        let named =
            Self::ALL.iter().copied().filter(fits).max_by_key(|scenario| scenario.name().len());
        Some(named.unwrap_or(Self::Good))
    }
}

/// A key of the true shape (108 characters, ending in `AA`) that says `scenario`. The same seed gives the same key.
pub fn key(scenario: Scenario, seed: u64) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed;
    let filler = std::iter::repeat_with(move || {
        let letter = usize::try_from(split_mix(&mut state) % 62).unwrap_or(0);
        char::from(LETTERS.get(letter).copied().unwrap_or(b'A'))
    });
    let middle: String = scenario.name().chars().chain(['-']).chain(filler).take(MIDDLE).collect();
    format!("{KIND}{middle}AA")
}

/// `SplitMix64` (Steele, Lea, Flood 2014): a few lines that spread a seed, for looks only.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::api_key::ApiKeySecret;
    use claviger_domain::secret::SecretText;

    #[test]
    fn every_scenario_has_keys_that_say_so() {
        for &scenario in Scenario::ALL {
            let made = key(scenario, 7);
            assert_eq!((made.len(), made.ends_with("AA")), (108, true), "{}", scenario.name());
            assert_eq!(Scenario::of_key(&made), Some(scenario));
            assert_eq!(Scenario::parse(scenario.name()), Some(scenario));
            assert!(ApiKeySecret::parse(&SecretText::new(made.clone())).is_ok());
            assert_eq!(made, key(scenario, 7));
            assert_ne!(made, key(scenario, 8));
        }
    }

    #[test]
    fn other_keys_are_good_and_other_texts_unknown() {
        assert_eq!(Scenario::of_key("sk-ant-api03-R2D2"), Some(Scenario::Good));
        assert_eq!(Scenario::of_key("sk-ant-api04-revoked-"), Some(Scenario::Good));
        for text in ["", "sk-ant-", "sk-ant-admin01-x", "sk-ant-oat01-x", "hello"] {
            assert_eq!(Scenario::of_key(text), None, "{text}");
        }
    }
}
