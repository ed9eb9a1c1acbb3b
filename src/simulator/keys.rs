//! Simulated API keys. The text of a key names what the upstream does with it.

use claviger_domain::api_key::PREFIX;

/// The prefix of today's API keys.
const KIND: &str = "sk-ant-api03-";

/// Number of characters between [`KIND`] and the closing `AA`.
const MIDDLE: usize = 93;

macro_rules! scenarios {
    ($($variant:ident = $name:literal, $about:literal;)+) => {
        /// How the upstream reacts to a key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scenario {
            $(#[doc = $about] $variant,)+
        }

        impl Scenario {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name as it appears in the key.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for a person.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

scenarios! {
    Good = "good", "Every call succeeds.";
    Revoked = "revoked", "401 on every call.";
    NoCredit400 = "no-credit-400", "400 `credit balance is too low` on messages; free calls succeed.";
    NoCredit402 = "no-credit-402", "402 on messages; free calls succeed.";
    SpendLimit400 = "spend-limit-400", "400, the organisation's own usage limit, on messages.";
    WorkspaceLimit400 = "workspace-limit-400", "400, the workspace's own usage limit, on messages.";
    OnHold = "on-hold", "400 with the code `organization_on_hold` on messages and counts.";
    ForbiddenModel = "forbidden-model", "403 on every call that names a model.";
    UnknownModel = "unknown-model", "404 on every call that names a model.";
    RateLimited = "rate-limited", "429 with `retry-after` in seconds on every call.";
    RateLimitedDate = "rate-limited-date", "429 with `retry-after` as an HTTP date on every call.";
    RateLimitedReset = "rate-limited-reset", "429 with only `anthropic-ratelimit-*-reset` on every call.";
    SpendLimit429 = "spend-limit-429", "429 with the code `enforced_spend_limit_reached` on messages.";
    ContractLimit429 = "contract-limit-429", "429 with the code `contract_spend_limit_reached` on messages.";
    Conflict = "conflict", "409 on every call.";
    TooLarge = "too-large", "413 on every call.";
    BadRequest = "bad-request", "400 of another kind on every call.";
    Server500 = "server-500", "500 on every call.";
    Server503 = "server-503", "503 on every call.";
    Server504 = "server-504", "504 on every call.";
    Overloaded = "overloaded", "529 on every call.";
    Flaky = "flaky", "529 on the first message, then success.";
    Cut = "cut", "200 with a body that ends in the middle.";
    Reset = "reset", "The connection is closed without an answer.";
    Hang = "hang", "No answer until the client leaves.";
    Redirect = "redirect", "302 to another host.";
    WrongType = "wrong-type", "200 with a page of HTML.";
    Garbage = "garbage", "200 with broken JSON.";
    Huge = "huge", "200 with 80 MiB of JSON.";
    Slow = "slow", "200, piece by piece with pauses.";
    Echo = "echo", "400 that repeats the key in its text, its headers and its code.";
    StreamCut = "stream-cut", "A stream that is cut after two pieces of text; other calls succeed.";
    StreamCutOnce = "stream-cut-once", "The first message's stream is cut after two pieces, then success.";
    StreamError = "stream-error", "A stream with an `overloaded_error` event after two pieces; other calls succeed.";
    Split = "split", "A stream sent three bytes at a time, so that characters and lines are split; other calls succeed.";
    Refusal = "refusal", "Messages end with the stop reason `refusal`.";
    MaxTokens = "max-tokens", "Messages end with the stop reason `max_tokens`.";
}

impl Scenario {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scenario| scenario.name() == name)
    }

    /// The scenario that a key names. `None` for a text that is not an API key.
    pub fn of_key(key: &str) -> Option<Self> {
        if !key.strip_prefix(PREFIX)?.starts_with("api") {
            return None;
        }
        let middle = key.strip_prefix(KIND).unwrap_or_default();
        let fits = |scenario: &Self| {
            middle.strip_prefix(scenario.name()).is_some_and(|rest| rest.starts_with('-'))
        };
        // The longest match, because one name may begin with another: `stream-cut`,
        // `stream-cut-once`.
        let named =
            Self::ALL.iter().copied().filter(fits).max_by_key(|scenario| scenario.name().len());
        Some(named.unwrap_or(Self::Good))
    }
}

/// A key of the real shape (108 characters, ending in `AA`) for `scenario`. The same seed gives the
/// same key.
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

/// `SplitMix64` (Steele, Lea, Flood 2014): a few lines that spread a seed, only to make keys look
/// different.
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
    fn every_scenario_has_keys_that_name_it() {
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
