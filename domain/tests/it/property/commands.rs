//! Random commands over five keys, three contexts and three tests.

use crate::given::{HOUR_MS, NOW, key};
use crate::given::{print, tag};
use crate::key_ring::{
    activate, add, clear_default, context, deactivate, delete, finish_test, record_expiry, rename,
    replace_secret, set_default, set_expiry, start_test,
};
use claviger_domain::key_ring::{
    ActivateKey, AddKey, ClearDefault, DeactivateKey, DeleteKey, KeyRing, KeyRingCommand,
    RenameKey, ReplaceSecret, SetDefault, SetExpiry,
};
use claviger_domain::timestamp::Timestamp;
use proptest::prelude::*;

/// What version the caller saw, relative to the state it meets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Nothing,
    Right,
    Stale,
}

/// Which command.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Add { make_default: Option<bool>, expires_in: Option<u64> },
    Rename,
    StartTest,
    FinishTest,
    SetDefault,
    ClearDefault,
    Activate,
    Deactivate,
    ReplaceSecret,
    SetExpiry { expires_in: Option<u64> },
    RecordExpiry,
    Delete,
}

/// A command in the making: it becomes one when it meets a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) key: u8,
    pub(super) context: u8,
    pub(super) test: u8,
    pub(super) print: u8,
    pub(super) expected: Expected,
    /// How long after the step before.
    pub(super) wait_ms: u64,
}

/// Half-hours, so that expiries and clock meet exactly now and then; 0 lies in the past at once.
fn span() -> impl Strategy<Value = u64> {
    (0_u64..6).prop_map(|parts| parts * HOUR_MS / 2)
}

fn what() -> impl Strategy<Value = What> {
    let maybe_span = || proptest::option::of(span());
    prop_oneof![
        4 => (any::<Option<bool>>(), maybe_span()).prop_map(|(make_default, expires_in)| What::Add { make_default, expires_in }),
        1 => Just(What::Rename),
        2 => Just(What::StartTest),
        2 => Just(What::FinishTest),
        4 => Just(What::SetDefault),
        1 => Just(What::ClearDefault),
        2 => Just(What::Activate),
        2 => Just(What::Deactivate),
        1 => Just(What::ReplaceSecret),
        2 => maybe_span().prop_map(|expires_in| What::SetExpiry { expires_in }),
        2 => Just(What::RecordExpiry),
        1 => Just(What::Delete),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let expected = prop_oneof![3 => Just(Expected::Nothing), 1 => Just(Expected::Right), 1 => Just(Expected::Stale)];
    (
        what(),
        1_u8..=5,
        1_u8..=3,
        1_u8..=3,
        1_u8..=7,
        expected,
        prop_oneof![3 => Just(0), 1 => span()],
    )
        .prop_map(|(what, key, context, test, print, expected, wait_ms)| Step {
            what,
            key,
            context,
            test,
            print,
            expected,
            wait_ms,
        })
}

impl Step {
    fn expected(self, ring: &KeyRing) -> Option<u64> {
        let subject = match self.what {
            What::ClearDefault => ring.defaults.get(&tag(self.context)).copied(),
            What::Add { .. }
            | What::Rename
            | What::StartTest
            | What::FinishTest
            | What::SetDefault
            | What::Activate
            | What::Deactivate
            | What::ReplaceSecret
            | What::SetExpiry { .. }
            | What::RecordExpiry
            | What::Delete => Some(key(self.key)),
        };
        let actual = subject.and_then(|key| ring.keys.get(&key)).map_or(0, |key| key.version);
        match self.expected {
            Expected::Nothing => None,
            Expected::Right => Some(actual),
            Expected::Stale => Some(actual.saturating_sub(1)),
        }
    }

    /// The command as a caller who looks at `ring` at `now` would give it.
    pub(super) fn command(self, ring: &KeyRing, now: Timestamp) -> KeyRingCommand {
        let (n, context_no, expected) = (self.key, self.context, self.expected(ring));
        let at = |expires_in: Option<u64>| expires_in.map(|ms| now.plus_ms(ms));
        match self.what {
            What::Add { make_default, expires_in } => AddKey {
                make_default,
                fingerprint: print(self.print),
                context: context(context_no),
                context_tag: tag(context_no),
                expires_at: at(expires_in),
                now,
                max_keys: 4,
                ..add(n)
            }
            .into(),
            What::Rename => RenameKey { expected, ..rename(n, "other") }.into(),
            What::StartTest => start_test(n, self.test).into(),
            What::FinishTest => finish_test(self.test).into(),
            What::SetDefault => SetDefault { expected, now, ..set_default(n, context_no) }.into(),
            What::ClearDefault => ClearDefault { expected, ..clear_default(context_no) }.into(),
            What::Activate => ActivateKey { expected, ..activate(n) }.into(),
            What::Deactivate => DeactivateKey { expected, ..deactivate(n) }.into(),
            What::ReplaceSecret => {
                ReplaceSecret { expected, ..replace_secret(n, self.print) }.into()
            }
            What::SetExpiry { expires_in } => {
                SetExpiry { expected, now, ..set_expiry(n, at(expires_in)) }.into()
            }
            What::RecordExpiry => record_expiry(n, now).into(),
            What::Delete => DeleteKey { expected, ..delete(n) }.into(),
        }
    }
}

/// The clock at the first step.
pub(super) const START: Timestamp = NOW;
