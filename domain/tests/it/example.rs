//! One example of every event, as the golden files hold it, with every optional there.

use crate::account::BROWSER;
use crate::given::{HOUR_MS, NOW, key, session, test};
use crate::key_ring::{MODEL, PREVIEW, TIMEOUT_MS};
use claviger_domain::account::{
    AccountEvent, Identity, LeftSession, NoFacts, OfRole, OfSession, OfSessions, Person,
    Registered, Renamed, ResetCreated, RevokeReason, Seen, SignInNames,
};
use claviger_domain::actor::Role;
use claviger_domain::event::Shape;
use claviger_domain::id::{ContextTag, Fingerprint, MasterKeyId, TreeRoot};
use claviger_domain::key_ring::{
    Added, ClearReason, Expired, ExpirySet, InContext, KeyOnly, KeyRingEvent, MadeDefault, Named,
    NoDefault, Previewed, SecretReplaced, Shown, TestStarted, Tested,
};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::system::{Rebuilt, Rotated, RotationStarted, Signing, SystemEvent};
use claviger_domain::timestamp::Timestamp;

/// Bytes that count up from `first`, so that a swapped or cut byte shows.
fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(u8::try_from(i).unwrap()))
}

fn expiry() -> Timestamp {
    NOW.plus_ms(24 * HOUR_MS)
}

fn verdict() -> KeyVerdict {
    KeyVerdict {
        status: KeyTestStatus::Inconclusive,
        authentic: Verdict::Yes,
        has_credit: Verdict::Unknown,
        model_allowed: Verdict::No,
        rate_limited_until: Some(NOW.plus_ms(61_000)),
        upstream_status: Some(429),
        duration_ms: 412,
    }
}

fn notes() -> KeyTestNotes {
    KeyTestNotes {
        message: "Anthropic limits this key's rate: try again after a minute".to_owned(),
        organization_id: Some("0d2f6a3e-7a51-4d0c-9f42-3c1b5a7e9d10".to_owned()),
        workspace_id: Some("wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ".to_owned()),
        upstream_request_id: Some("req_011CTvQ8nWc4kB2yJxRmDf3a".to_owned()),
    }
}

pub(crate) fn key_ring_events() -> Vec<KeyRingEvent> {
    let (key, test) = (key(1), test(1));
    let (context_tag, fingerprint) = (ContextTag(counting(0xa0)), Fingerprint(counting(0x08)));
    let in_context = || Some(InContext { context: "default".to_owned() });
    let model = || Some(MODEL.to_owned());
    vec![
        KeyRingEvent::KeyAdded(
            Added { key, fingerprint, secret_version: 1, expires_at: Some(expiry()) },
            Some(Shown { name: "Büro \"A\"".to_owned(), preview: PREVIEW.to_owned() }),
        ),
        KeyRingEvent::KeyRenamed(KeyOnly { key }, Some(Named { name: "Büro \"B\"".to_owned() })),
        KeyRingEvent::KeyTestStarted(TestStarted {
            key,
            test,
            level: KeyTestLevel::Full,
            model: model(),
            secret_version: 2,
            timeout_ms: TIMEOUT_MS,
        }),
        KeyRingEvent::KeyTested(
            Tested {
                key,
                test,
                level: KeyTestLevel::Full,
                model: model(),
                secret_version: 2,
                verdict: verdict(),
            },
            Some(notes()),
        ),
        KeyRingEvent::DefaultSet(
            MadeDefault { key, context_tag, previous: Some(crate::given::key(2)) },
            in_context(),
        ),
        KeyRingEvent::DefaultCleared(
            NoDefault { key, context_tag, reason: ClearReason::Requested },
            in_context(),
        ),
        KeyRingEvent::KeyActivated(KeyOnly { key }),
        KeyRingEvent::KeyDeactivated(KeyOnly { key }),
        KeyRingEvent::KeySecretReplaced(
            SecretReplaced { key, secret_version: 2, fingerprint },
            Some(Previewed { preview: PREVIEW.to_owned() }),
        ),
        KeyRingEvent::KeyExpirySet(ExpirySet { key, expires_at: Some(expiry()) }),
        KeyRingEvent::KeyExpired(Expired { key, expires_at: expiry() }),
        KeyRingEvent::KeyDeleted(KeyOnly { key }),
    ]
}

/// The event that the golden file of each older schema becomes.
pub(crate) fn older_key_ring_events() -> Vec<(Shape, KeyRingEvent)> {
    let name = "Büro \"B\"".to_owned();
    vec![(
        ("KeyRenamed", 0),
        KeyRingEvent::KeyRenamed(KeyOnly { key: key(1) }, Some(Named { name })),
    )]
}

fn identity() -> Identity {
    Identity { issuer: "https://login.example.org/".to_owned(), subject: "00u1ada".to_owned() }
}

pub(crate) fn account_events() -> Vec<AccountEvent> {
    let session_1 = OfSession { session: session(1) };
    let full_name = || Some("Ada Lovelace".to_owned());
    let person = Person {
        username: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        full_name: full_name(),
    };
    let sessions = vec![session(1), session(2)];
    vec![
        AccountEvent::AccountRegistered(
            Registered { roles: vec![Role::User, Role::Admin] },
            Some(person),
        ),
        AccountEvent::IdentityLinked(NoFacts {}, Some(identity())),
        AccountEvent::AccountRenamed(NoFacts {}, Some(Renamed { full_name: full_name() })),
        AccountEvent::PasswordChanged(NoFacts {}),
        AccountEvent::RoleGranted(OfRole { role: Role::Auditor }),
        AccountEvent::RoleRevoked(OfRole { role: Role::Auditor }),
        AccountEvent::AccountDeactivated(NoFacts {}),
        AccountEvent::AccountReactivated(NoFacts {}),
        AccountEvent::SignedIn(
            session_1.clone(),
            Some(Seen { user_agent: Some(BROWSER.to_owned()) }),
        ),
        AccountEvent::SignedOut(LeftSession { session: session(1), tokens_from: None }),
        AccountEvent::SessionsRevoked(OfSessions {
            sessions,
            reason: RevokeReason::PasswordChanged,
            tokens_kept: None,
        }),
        AccountEvent::RefreshTokenReused(session_1),
        AccountEvent::AccountErased(NoFacts {}),
        AccountEvent::SignInNamesChanged(
            NoFacts {},
            Some(SignInNames {
                username: Some("Countess".to_owned()),
                email: Some("ada.king@example.org".to_owned()),
            }),
        ),
        AccountEvent::PasswordResetCreated(ResetCreated {
            expires_at: Timestamp(1_760_003_600_000),
        }),
        AccountEvent::PasswordReset(NoFacts {}),
    ]
}

pub(crate) fn system_events() -> Vec<SystemEvent> {
    let (old, to) = (MasterKeyId(counting(0x51)), MasterKeyId(counting(0xe1)));
    vec![
        SystemEvent::ProjectionRebuilt(Rebuilt { view: "keys".to_owned(), owners: 12, changed: 2 }),
        SystemEvent::MasterKeyRotationStarted(RotationStarted { to }),
        SystemEvent::MasterKeyRotated(Rotated {
            from: vec![old],
            to,
            rewrapped: 1_998,
            rekeyed: 2,
        }),
        SystemEvent::SigningStarted(Signing { since: 83, root: TreeRoot(counting(0x11)) }),
    ]
}
