//! Every event type of the log, over all aggregates: what this program reads, and older events in
//! the current shape.

use crate::account::AccountEvent;
use crate::event::{EnvelopeVersion, EventError, EventParts, Payload, Shape};
use crate::key_ring::KeyRingEvent;
use crate::orchestration::{RunControlEvent, RunEvent};
use crate::system::SystemEvent;
use std::collections::BTreeSet;
use std::fmt;

/// The types and schemas that programs read before they published what they read. All of them have
/// schema 1. Never edited: it describes programs that are released. In order, for the binary
/// search.
const FIRST: &[&str] = &[
    "AccountDeactivated",
    "AccountErased",
    "AccountReactivated",
    "AccountRegistered",
    "AccountRenamed",
    "CancelRequested",
    "DefaultCleared",
    "DefaultSet",
    "FallbackApplied",
    "IdentityLinked",
    "KeyActivated",
    "KeyAdded",
    "KeyDeactivated",
    "KeyDeleted",
    "KeyExpired",
    "KeyExpirySet",
    "KeyRenamed",
    "KeySecretReplaced",
    "KeyTestStarted",
    "KeyTested",
    "MasterKeyRotated",
    "MasterKeyRotationStarted",
    "PasswordChanged",
    "PauseRequested",
    "ProjectionRebuilt",
    "RefreshTokenReused",
    "ResumeRequested",
    "RoleGranted",
    "RoleRevoked",
    "RunCancelled",
    "RunClaimed",
    "RunCompleted",
    "RunFailed",
    "RunPaused",
    "RunRequested",
    "RunResumed",
    "SessionsRevoked",
    "SignedIn",
    "SignedOut",
    "StepAttemptFailed",
    "StepAttemptStarted",
    "StepCompleted",
    "StepSkipped",
    "StepsPlanned",
];

/// One thing that a reader of the log must be able to read: a version of the envelope, or a schema
/// of an event type. Its text, `envelope/2` or `KeyAdded/1`, is what processes publish and stores
/// keep.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement(String);

impl Requirement {
    /// A version of the envelope.
    pub fn envelope(version: EnvelopeVersion) -> Self {
        Self(format!("envelope/{}", version.number()))
    }

    /// A schema of an event type. No type begins with a lower-case letter, so none is taken for the
    /// envelope.
    pub fn event(kind: &str, schema: u32) -> Self {
        Self(format!("{kind}/{schema}"))
    }

    /// A requirement as it is stored. Any text is one: a newer program's requirement is unknown,
    /// not malformed.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text that is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that a program reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable(BTreeSet<Requirement>);

impl Readable {
    /// What this program reads.
    pub fn current() -> Self {
        let envelopes = EnvelopeVersion::ALL.iter().map(|version| Requirement::envelope(*version));
        let shapes =
            all_shapes().into_iter().map(|(kind, schema)| Requirement::event(kind, schema));
        envelopes.chain(shapes).collect()
    }

    /// Whether every program reads this schema of a type, those that publish nothing included.
    pub fn by_all(kind: &str, schema: u32) -> bool {
        schema == 1 && FIRST.binary_search(&kind).is_ok()
    }

    /// What programs read that publish nothing: those released before this was published. Every
    /// store may hold it, so no store lists it as required.
    pub fn first() -> Self {
        let envelope = Requirement::envelope(EnvelopeVersion::V1);
        FIRST
            .iter()
            .map(|kind| Requirement::event(kind, 1))
            .chain(std::iter::once(envelope))
            .collect()
    }

    /// Whether it is read.
    pub fn has(&self, requirement: &Requirement) -> bool {
        self.0.contains(requirement)
    }

    /// The first of the given requirements that is not read.
    pub fn lacks<'a>(
        &self,
        mut required: impl Iterator<Item = &'a Requirement>,
    ) -> Option<&'a Requirement> {
        required.find(|requirement| !self.has(requirement))
    }

    /// Everything that is read, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.0.iter()
    }

    /// The same and one requirement more.
    #[must_use]
    pub fn and(mut self, requirement: Requirement) -> Self {
        self.0.insert(requirement);
        self
    }
}

impl FromIterator<Requirement> for Readable {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        Self(requirements.into_iter().collect())
    }
}

/// The types of one enum, and how its older events become current ones.
struct Family {
    current: &'static [Shape],
    older: &'static [Shape],
    upcast: Upcast,
}

type Upcast = fn(&str, u32, &[u8], Option<&[u8]>) -> Result<EventParts, EventError>;

const fn family<E: Payload>() -> Family {
    Family { current: E::CURRENT, older: E::OLDER, upcast: parts_of::<E> }
}

fn parts_of<E: Payload>(
    kind: &str,
    schema: u32,
    facts: &[u8],
    content: Option<&[u8]>,
) -> Result<EventParts, EventError> {
    E::decode(kind, schema, facts, content)?.parts()
}

const FAMILIES: &[Family] = &[
    family::<KeyRingEvent>(),
    family::<AccountEvent>(),
    family::<SystemEvent>(),
    family::<RunEvent>(),
    family::<RunControlEvent>(),
];

/// Every type with its current schema.
pub fn current_shapes() -> Vec<Shape> {
    FAMILIES.iter().flat_map(|family| family.current).copied().collect()
}

/// Every older schema that is still read.
pub fn older_shapes() -> Vec<Shape> {
    FAMILIES.iter().flat_map(|family| family.older).copied().collect()
}

fn all_shapes() -> Vec<Shape> {
    current_shapes().into_iter().chain(older_shapes()).collect()
}

/// The parts of an event of an older schema in the current one. `None` for an event of a current
/// schema, whose stored bytes are what is shown, and for a type that is not in the catalogue.
///
/// # Errors
/// [`EventError::Malformed`] for stored bytes that don't fit their schema.
pub fn upcast(
    kind: &str,
    schema: u32,
    facts: &[u8],
    content: Option<&[u8]>,
) -> Result<Option<EventParts>, EventError> {
    FAMILIES
        .iter()
        .find(|family| family.older.contains(&(kind, schema)))
        .map(|family| (family.upcast)(kind, schema, facts, content))
        .transpose()
}
