//! Events and commands with everything filled in; a test changes the fields that it checks
//! (`AddKey { make_default, ..add(1) }`).

use crate::given::{Given, NOW, given, key, print, tag, test};
use claviger_domain::id::KeyId;
use claviger_domain::key_ring::{
    ActivateKey, AddKey, Added, ClearDefault, ClearReason, DeactivateKey, DeleteKey, Expired,
    ExpirySet, FinishKeyTest, InContext, KeyOnly, KeyRing, KeyRingEvent, MadeDefault, Named,
    NoDefault, Previewed, RecordExpiry, RenameKey, ReplaceSecret, SecretReplaced, SetDefault,
    SetExpiry, Shown, StartKeyTest, TestStarted, Tested,
};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::text::{Context, KeyName, ModelId};
use claviger_domain::timestamp::Timestamp;

pub(crate) const PREVIEW: &str = "sk-ant-api03-R2D...igAA";
pub(crate) const MODEL: &str = "claude-haiku-4-5-20251001";
pub(crate) const TIMEOUT_MS: u64 = 30_000;

pub(crate) fn ring(history: impl IntoIterator<Item = KeyRingEvent>) -> Given<KeyRing> {
    given(history)
}

pub(crate) fn context(n: u8) -> Context {
    Context::parse(&format!("context {n}")).unwrap()
}

fn named(n: u8) -> String {
    format!("key {n}")
}

// ---- commands ----

pub(crate) fn add(n: u8) -> AddKey {
    AddKey {
        key: key(n),
        name: KeyName::parse(&named(n)).unwrap(),
        preview: PREVIEW.to_owned(),
        fingerprint: print(n),
        make_default: Some(false),
        context: context(1),
        context_tag: tag(1),
        expires_at: None,
        now: NOW,
        max_keys: 5,
    }
}

pub(crate) fn rename(n: u8, name: &str) -> RenameKey {
    RenameKey { key: key(n), name: KeyName::parse(name).unwrap(), expected: None }
}

pub(crate) fn start_test(n: u8, test_no: u8) -> StartKeyTest {
    StartKeyTest {
        key: key(n),
        test: test(test_no),
        level: KeyTestLevel::Full,
        model: ModelId::parse(MODEL),
        timeout_ms: TIMEOUT_MS,
    }
}

pub(crate) fn finish_test(test_no: u8) -> FinishKeyTest {
    FinishKeyTest { test: test(test_no), verdict: verdict(), notes: notes() }
}

pub(crate) fn verdict() -> KeyVerdict {
    KeyVerdict {
        status: KeyTestStatus::Success,
        authentic: Verdict::Yes,
        has_credit: Verdict::Yes,
        model_allowed: Verdict::Yes,
        rate_limited_until: None,
        upstream_status: Some(200),
        duration_ms: 412,
    }
}

pub(crate) fn notes() -> KeyTestNotes {
    KeyTestNotes { message: "the key works and has credit".to_owned(), ..KeyTestNotes::default() }
}

pub(crate) fn set_default(n: u8, context_no: u8) -> SetDefault {
    SetDefault {
        key: key(n),
        context: context(context_no),
        context_tag: tag(context_no),
        expected: None,
        now: NOW,
    }
}

pub(crate) fn clear_default(context_no: u8) -> ClearDefault {
    ClearDefault { context: context(context_no), context_tag: tag(context_no), expected: None }
}

pub(crate) fn activate(n: u8) -> ActivateKey {
    ActivateKey { key: key(n), expected: None }
}

pub(crate) fn deactivate(n: u8) -> DeactivateKey {
    DeactivateKey { key: key(n), expected: None }
}

pub(crate) fn replace_secret(n: u8, print_no: u8) -> ReplaceSecret {
    ReplaceSecret {
        key: key(n),
        fingerprint: print(print_no),
        preview: PREVIEW.to_owned(),
        expected: None,
    }
}

pub(crate) fn set_expiry(n: u8, expires_at: Option<Timestamp>) -> SetExpiry {
    SetExpiry { key: key(n), expires_at, expected: None, now: NOW }
}

pub(crate) fn record_expiry(n: u8, now: Timestamp) -> RecordExpiry {
    RecordExpiry { key: key(n), now }
}

pub(crate) fn delete(n: u8) -> DeleteKey {
    DeleteKey { key: key(n), expected: None }
}

// ---- events ----

pub(crate) fn added(n: u8) -> KeyRingEvent {
    added_expiring(n, None)
}

pub(crate) fn added_expiring(n: u8, expires_at: Option<Timestamp>) -> KeyRingEvent {
    KeyRingEvent::KeyAdded(
        Added { key: key(n), fingerprint: print(n), secret_version: 1, expires_at },
        Some(Shown { name: named(n), preview: PREVIEW.to_owned() }),
    )
}

pub(crate) fn renamed(n: u8, name: &str) -> KeyRingEvent {
    KeyRingEvent::KeyRenamed(KeyOnly { key: key(n) }, Some(Named { name: name.to_owned() }))
}

pub(crate) fn test_started(n: u8, test_no: u8, secret_version: u32) -> KeyRingEvent {
    KeyRingEvent::KeyTestStarted(TestStarted {
        key: key(n),
        test: test(test_no),
        level: KeyTestLevel::Full,
        model: Some(MODEL.to_owned()),
        secret_version,
        timeout_ms: TIMEOUT_MS,
    })
}

pub(crate) fn tested(n: u8, test_no: u8, secret_version: u32) -> KeyRingEvent {
    let model = Some(MODEL.to_owned());
    let (key, test, level) = (key(n), test(test_no), KeyTestLevel::Full);
    KeyRingEvent::KeyTested(
        Tested { key, test, level, model, secret_version, verdict: verdict() },
        Some(notes()),
    )
}

pub(crate) fn made_default(n: u8, context_no: u8, previous: Option<KeyId>) -> KeyRingEvent {
    KeyRingEvent::DefaultSet(
        MadeDefault { key: key(n), context_tag: tag(context_no), previous },
        Some(InContext { context: context(context_no).into_string() }),
    )
}

/// By a person, who named the context.
pub(crate) fn cleared_on_request(n: u8, context_no: u8) -> KeyRingEvent {
    KeyRingEvent::DefaultCleared(
        NoDefault { key: key(n), context_tag: tag(context_no), reason: ClearReason::Requested },
        Some(InContext { context: context(context_no).into_string() }),
    )
}

/// Along with something else: nobody named the context, so the event can't either.
pub(crate) fn cleared(n: u8, context_no: u8, reason: ClearReason) -> KeyRingEvent {
    KeyRingEvent::DefaultCleared(
        NoDefault { key: key(n), context_tag: tag(context_no), reason },
        None,
    )
}

pub(crate) fn activated(n: u8) -> KeyRingEvent {
    KeyRingEvent::KeyActivated(KeyOnly { key: key(n) })
}

pub(crate) fn deactivated(n: u8) -> KeyRingEvent {
    KeyRingEvent::KeyDeactivated(KeyOnly { key: key(n) })
}

pub(crate) fn secret_replaced(n: u8, print_no: u8, secret_version: u32) -> KeyRingEvent {
    KeyRingEvent::KeySecretReplaced(
        SecretReplaced { key: key(n), secret_version, fingerprint: print(print_no) },
        Some(Previewed { preview: PREVIEW.to_owned() }),
    )
}

pub(crate) fn expiry_set(n: u8, expires_at: Option<Timestamp>) -> KeyRingEvent {
    KeyRingEvent::KeyExpirySet(ExpirySet { key: key(n), expires_at })
}

pub(crate) fn expired(n: u8, expires_at: Timestamp) -> KeyRingEvent {
    KeyRingEvent::KeyExpired(Expired { key: key(n), expires_at })
}

pub(crate) fn deleted(n: u8) -> KeyRingEvent {
    KeyRingEvent::KeyDeleted(KeyOnly { key: key(n) })
}
