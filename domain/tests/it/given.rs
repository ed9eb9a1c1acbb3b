//! Given, when, then; and the fixed ids and times that the tests speak of by number.

use claviger_domain::id::{
    BootId, ContextTag, Fingerprint, KeyId, RunId, SessionId, StepId, TestId, UserId,
};
use claviger_domain::timestamp::Timestamp;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateResultValidator, TestFramework};
use uuid::Uuid;

/// 2025-10-09T08:53:20Z.
pub(crate) const NOW: Timestamp = Timestamp(1_760_000_000_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;

pub(crate) fn later() -> Timestamp {
    NOW.plus_ms(HOUR_MS)
}

/// A UUID of version 7 whose last bytes say what it is.
pub(crate) fn uuid(kind: u8, n: u8) -> Uuid {
    Uuid::from_u128(
        0x0199_c82c_c000_7000_8000_0000_0000_0000 | (u128::from(kind) << 8) | u128::from(n),
    )
}

macro_rules! fixed_ids {
    ($($function:ident: $id:ident = $kind:literal;)+) => {$(
        pub(crate) fn $function(n: u8) -> $id {
            $id(uuid($kind, n))
        }
    )+};
}
fixed_ids! {
    user: UserId = 1;
    key: KeyId = 2;
    session: SessionId = 4;
    test: TestId = 5;
    run: RunId = 6;
    step: StepId = 7;
    boot: BootId = 8;
}

pub(crate) fn tag(n: u8) -> ContextTag {
    ContextTag([n; 16])
}

pub(crate) fn print(n: u8) -> Fingerprint {
    Fingerprint([n; 32])
}

pub(crate) fn fold<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(event));
    state
}

/// What happened before.
pub(crate) struct Given<A: Aggregate>(Vec<A::Event>);

pub(crate) fn given<A: Aggregate>(history: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given(history.into_iter().collect())
}

impl<A: Aggregate<Services = ()>> Given<A> {
    pub(crate) fn when(self, command: impl Into<A::Command>) -> Then<A> {
        let validator = TestFramework::<A>::with(()).given(self.0.clone()).when(command.into());
        Then { history: self.0, validator }
    }
}

/// What came of a command.
pub(crate) struct Then<A: Aggregate> {
    history: Vec<A::Event>,
    validator: AggregateResultValidator<A>,
}

impl<A: Aggregate> Then<A>
where
    A::Error: PartialEq,
    A::Event: PartialEq,
{
    /// Exactly these events; answers the state after them.
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) -> A {
        let events: Vec<_> = events.into_iter().collect();
        self.validator.then_expect_events(events.clone());
        fold(self.history.into_iter().chain(events))
    }

    /// Things were as asked.
    pub(crate) fn nothing(self) {
        self.then([]);
    }

    pub(crate) fn refused(self, error: A::Error) {
        self.validator.then_expect_error(error);
    }
}
