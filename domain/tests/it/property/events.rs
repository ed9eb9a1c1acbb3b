//! Any event survives being cut into parts and put together again, with and without its content.

use super::settings;
use claviger_domain::account::{
    AccountEvent, Identity, LeftSession, NoFacts, OfRole, OfSession, OfSessions, Person,
    Registered, Renamed, ResetCreated, RevokeReason, Seen, SignInNames,
};
use claviger_domain::actor::Role;
use claviger_domain::event::Payload;
use claviger_domain::id::{ContextTag, Fingerprint, KeyId, SessionId, TestId};
use claviger_domain::key_ring::{
    Added, ClearReason, Expired, ExpirySet, InContext, KeyOnly, KeyRingEvent, MadeDefault, Named,
    NoDefault, Previewed, SecretReplaced, Shown, TestStarted, Tested,
};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::timestamp::Timestamp;
use cqrs_es::DomainEvent;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use std::collections::BTreeSet;
use std::fmt::Debug;
use uuid::Uuid;

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn key() -> impl Strategy<Value = KeyId> {
    id().prop_map(KeyId)
}

fn session() -> impl Strategy<Value = SessionId> {
    id().prop_map(SessionId)
}

fn tag() -> impl Strategy<Value = ContextTag> {
    any::<[u8; 16]>().prop_map(ContextTag)
}

fn print() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 32]>().prop_map(Fingerprint)
}

fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<u64>(), 0..=Timestamp::MAX.0].prop_map(Timestamp)
}

/// Any text: quotes, line breaks, NUL, emoji.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

fn verdict() -> impl Strategy<Value = KeyVerdict> {
    let word = || select(vec![Verdict::Yes, Verdict::No, Verdict::Unknown]);
    let status =
        select(vec![KeyTestStatus::Success, KeyTestStatus::Failed, KeyTestStatus::Inconclusive]);
    (status, [word(), word(), word()], of(at()), of(any::<u16>()), any::<u64>()).prop_map(
        |(status, words, until, http, ms)| {
            let [authentic, has_credit, model_allowed] = words;
            KeyVerdict {
                status,
                authentic,
                has_credit,
                model_allowed,
                rate_limited_until: until,
                upstream_status: http,
                duration_ms: ms,
            }
        },
    )
}

fn notes() -> impl Strategy<Value = KeyTestNotes> {
    (text(), of(text()), of(text()), of(text())).prop_map(
        |(message, organization_id, workspace_id, upstream_request_id)| KeyTestNotes {
            message,
            organization_id,
            workspace_id,
            upstream_request_id,
        },
    )
}

fn level() -> impl Strategy<Value = KeyTestLevel> {
    select(vec![KeyTestLevel::Authentic, KeyTestLevel::Model, KeyTestLevel::Full])
}

fn test_event() -> impl Strategy<Value = KeyRingEvent> {
    let common = || (key(), id().prop_map(TestId), level(), of(text()), any::<u32>());
    prop_oneof![
        (common(), any::<u64>()).prop_map(
            |((key, test, level, model, secret_version), timeout_ms)| {
                KeyRingEvent::KeyTestStarted(TestStarted {
                    key,
                    test,
                    level,
                    model,
                    secret_version,
                    timeout_ms,
                })
            }
        ),
        (common(), verdict(), of(notes())).prop_map(
            |((key, test, level, model, secret_version), verdict, notes)| {
                KeyRingEvent::KeyTested(
                    Tested { key, test, level, model, secret_version, verdict },
                    notes,
                )
            }
        ),
    ]
}

fn default_event() -> impl Strategy<Value = KeyRingEvent> {
    let reason = select(vec![
        ClearReason::Requested,
        ClearReason::Deactivated,
        ClearReason::Expired,
        ClearReason::Deleted,
    ]);
    let context = || of(text().prop_map(|context| InContext { context }));
    prop_oneof![
        (key(), tag(), of(key()), context()).prop_map(|(key, context_tag, previous, content)| {
            KeyRingEvent::DefaultSet(MadeDefault { key, context_tag, previous }, content)
        }),
        (key(), tag(), reason, context()).prop_map(|(key, context_tag, reason, content)| {
            KeyRingEvent::DefaultCleared(NoDefault { key, context_tag, reason }, content)
        }),
    ]
}

fn key_event() -> impl Strategy<Value = KeyRingEvent> {
    let shown = (text(), text()).prop_map(|(name, preview)| Shown { name, preview });
    let only = || key().prop_map(|key| KeyOnly { key });
    Union::new([
        (key(), print(), any::<u32>(), of(at()), of(shown))
            .prop_map(|(key, fingerprint, secret_version, expires_at, content)| {
                KeyRingEvent::KeyAdded(
                    Added { key, fingerprint, secret_version, expires_at },
                    content,
                )
            })
            .boxed(),
        (only(), of(text().prop_map(|name| Named { name })))
            .prop_map(|(facts, name)| KeyRingEvent::KeyRenamed(facts, name))
            .boxed(),
        (key(), any::<u32>(), print(), of(text().prop_map(|preview| Previewed { preview })))
            .prop_map(|(key, secret_version, fingerprint, content)| {
                KeyRingEvent::KeySecretReplaced(
                    SecretReplaced { key, secret_version, fingerprint },
                    content,
                )
            })
            .boxed(),
        (key(), of(at()))
            .prop_map(|(key, expires_at)| KeyRingEvent::KeyExpirySet(ExpirySet { key, expires_at }))
            .boxed(),
        (key(), at())
            .prop_map(|(key, expires_at)| KeyRingEvent::KeyExpired(Expired { key, expires_at }))
            .boxed(),
        only().prop_map(KeyRingEvent::KeyActivated).boxed(),
        only().prop_map(KeyRingEvent::KeyDeactivated).boxed(),
        only().prop_map(KeyRingEvent::KeyDeleted).boxed(),
    ])
}

fn key_ring_event() -> impl Strategy<Value = KeyRingEvent> {
    prop_oneof![8 => key_event(), 2 => test_event(), 2 => default_event()]
}

fn session_event() -> impl Strategy<Value = AccountEvent> {
    let reasons = vec![
        RevokeReason::Requested,
        RevokeReason::PasswordChanged,
        RevokeReason::Deactivated,
        RevokeReason::TooMany,
    ];
    let one = || session().prop_map(|session| OfSession { session });
    prop_oneof![
        (one(), of(of(text()).prop_map(|user_agent| Seen { user_agent })))
            .prop_map(|(facts, content)| AccountEvent::SignedIn(facts, content)),
        (session(), of(at())).prop_map(|(session, tokens_from)| {
            AccountEvent::SignedOut(LeftSession { session, tokens_from })
        }),
        one().prop_map(AccountEvent::RefreshTokenReused),
        (proptest::collection::vec(session(), 0..5), select(reasons), of(at())).prop_map(
            |(sessions, reason, tokens_kept)| {
                AccountEvent::SessionsRevoked(OfSessions { sessions, reason, tokens_kept })
            }
        ),
    ]
}

fn account_event() -> impl Strategy<Value = AccountEvent> {
    let role = || select(Role::ALL);
    let person = (text(), text(), of(text())).prop_map(|(username, email, full_name)| Person {
        username,
        email,
        full_name,
    });
    prop_oneof![
        2 => (proptest::collection::vec(role(), 0..4), of(person))
            .prop_map(|(roles, person)| AccountEvent::AccountRegistered(Registered { roles }, person)),
        2 => of(of(text()).prop_map(|full_name| Renamed { full_name }))
            .prop_map(|content| AccountEvent::AccountRenamed(NoFacts {}, content)),
        1 => of((text(), text()).prop_map(|(issuer, subject)| Identity { issuer, subject }))
            .prop_map(|identity| AccountEvent::IdentityLinked(NoFacts {}, identity)),
        1 => role().prop_map(|role| AccountEvent::RoleGranted(OfRole { role })),
        1 => role().prop_map(|role| AccountEvent::RoleRevoked(OfRole { role })),
        2 => select(vec![
            AccountEvent::PasswordChanged(NoFacts {}),
            AccountEvent::AccountDeactivated(NoFacts {}),
            AccountEvent::AccountReactivated(NoFacts {}),
            AccountEvent::AccountErased(NoFacts {}),
            AccountEvent::PasswordReset(NoFacts {}),
        ]),
        1 => of((of(text()), of(text())).prop_map(|(username, email)| SignInNames { username, email }))
            .prop_map(|content| AccountEvent::SignInNamesChanged(NoFacts {}, content)),
        1 => at().prop_map(|expires_at| AccountEvent::PasswordResetCreated(ResetCreated { expires_at })),
        5 => session_event(),
    ]
}

fn check<E: Payload + DomainEvent + PartialEq + Debug>(event: &E) {
    let parts = event.parts().unwrap();
    assert_eq!(
        (parts.kind, parts.schema.to_string()),
        (&*event.event_type(), event.event_version())
    );
    let back = E::decode(parts.kind, parts.schema, &parts.facts, parts.content.as_deref()).unwrap();
    assert_eq!(&back, event);
    assert_eq!(back.parts().unwrap(), parts, "the same bytes again");
    let erased = E::decode(parts.kind, parts.schema, &parts.facts, None).unwrap().parts().unwrap();
    assert_eq!((erased.facts, erased.content), (parts.facts, None));
}

proptest! {
    #![proptest_config(settings(500))]

    #[test]
    fn key_ring_events_round_trip(event in key_ring_event()) {
        check(&event);
    }

    #[test]
    fn account_events_round_trip(event in account_event()) {
        check(&event);
    }

    #[test]
    fn any_bytes_are_an_event_or_a_typed_error(
        kind in select(KeyRingEvent::CURRENT.iter().chain(AccountEvent::CURRENT).map(|(kind, _)| *kind).collect::<Vec<_>>()),
        facts in proptest::collection::vec(any::<u8>(), 0..60),
        content in of(proptest::collection::vec(any::<u8>(), 0..60)),
    ) {
        let _ = KeyRingEvent::decode(kind, 1, &facts, content.as_deref());
        let _ = AccountEvent::decode(kind, 1, &facts, content.as_deref());
    }
}

#[test]
fn random_events_are_of_every_type() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::new(settings(1));
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        seen.insert(key_ring_event().new_tree(&mut runner).unwrap().current().event_type());
        seen.insert(account_event().new_tree(&mut runner).unwrap().current().event_type());
    }
    let types = KeyRingEvent::CURRENT
        .iter()
        .chain(AccountEvent::CURRENT)
        .map(|(kind, _)| (*kind).to_owned())
        .collect();
    assert_eq!(seen, types);
}
