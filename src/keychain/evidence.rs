//! What binds an event, a session or a unique value to the user it grants something to
//! (`ops/docs/adr/0031-rows-that-grant.md`). A writer of the store without the store's index key
//! can make none of it.

use claviger_domain::event::Payload as _;
use claviger_domain::id::{SessionId, TreeRoot, UserId};
use claviger_domain::system::{Signing, SystemEvent};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{ClaimKind, SessionRow, SignEvents, StoreError, StoredEvent};
use claviger_proof::leaf_hash;
use claviger_vault::{StoreIndexKey, StoreKey};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Most unique values remembered as checked; each takes about 100 bytes.
const CHECKED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// A unique value and who it says holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeldClaim {
    pub kind: ClaimKind,
    /// Keyed hash of the value.
    pub hash: [u8; 32],
    pub holder: UserId,
}

/// Checks rows and events, and signs events.
#[expect(missing_debug_implementations, reason = "a key")]
pub struct Evidence {
    index: StoreIndexKey,
    /// Every event after this position must be signed; unset in a store of an earlier program whose
    /// events need no signature yet.
    since: OnceLock<u64>,
    /// Claims whose holder's sealed content names the value, with the version of the holder's account
    /// at which it did. A later version may have released the name.
    checked: Mutex<LruCache<HeldClaim, u64>>,
}

impl Evidence {
    pub(super) fn new(key: StoreKey) -> Self {
        let since = key.signed_since.map_or_else(OnceLock::new, OnceLock::from);
        Self { index: key.index, since, checked: Mutex::new(LruCache::new(CHECKED)) }
    }

    pub(super) const fn index(&self) -> &StoreIndexKey {
        &self.index
    }

    /// The last position that needs no signature; `None` while no event needs one.
    pub fn signed_since(&self) -> Option<u64> {
        self.since.get().copied()
    }

    /// Signatures are required from here on.
    pub(super) fn require_after(&self, position: u64) {
        self.since.get_or_init(|| position);
    }

    /// Whether an event is as it was appended: it has its leaf, and its leaf is signed. Events from
    /// before the store's signatures have only their leaf.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the position.
    pub fn check_signature(&self, event: &StoredEvent) -> Result<(), StoreError> {
        let position = event.envelope.position;
        let corrupt =
            |what: &str| Err(StoreError::Corrupt(format!("event at position {position}: {what}")));
        if leaf_hash(&event.envelope, &event.facts, &event.content) != event.leaf {
            return corrupt("it does not match its leaf");
        }
        match &event.signature {
            Some(_) if self.is_signed(event) => Ok(()),
            Some(_) => corrupt("it is not signed by this store's key"),
            None if self.signed_since().is_some_and(|since| position > since) => {
                corrupt("its signature is missing")
            }
            None => Ok(()),
        }
    }

    /// Whether this store's key signed the event's leaf, which may not be that of its content.
    pub(super) fn is_signed(&self, event: &StoredEvent) -> bool {
        event
            .signature
            .is_some_and(|signature| self.index.verify_event_signature(&event.leaf, &signature))
    }

    /// Whether an event that is signed follows the history that it was signed after. `before` is the
    /// root of the tree over all events before it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the position.
    pub fn check_history(&self, event: &StoredEvent, before: &[u8; 32]) -> Result<(), StoreError> {
        match &event.signature {
            Some(signature) if !signature.starts_with(before) => Err(StoreError::Corrupt(format!(
                "events before position {}: they are not those that it was signed after",
                event.envelope.position
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the event that vouches for everything before the first signature. `before` is the
    /// root of the tree over all events before this one; other events pass.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the position.
    pub fn check_start(&self, event: &StoredEvent, before: [u8; 32]) -> Result<(), StoreError> {
        let envelope = &event.envelope;
        let started = SystemEvent::decode(&envelope.kind, envelope.schema, &event.facts, None);
        let Ok(SystemEvent::SigningStarted(Signing { since, root })) = started else {
            return Ok(());
        };
        let position = envelope.position;
        if Some(since) == self.signed_since()
            && since.checked_add(1) == Some(position)
            && root == TreeRoot(before)
        {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "events before position {position}: they are not those for which it vouches"
        )))
    }

    /// The MAC of a session's row; `None` while an earlier program may still rotate the session
    /// without renewing it.
    pub fn session_mac(
        &self,
        of: (SessionId, UserId),
        generation: u32,
        expires_at: Timestamp,
    ) -> Option<[u8; 32]> {
        self.signed_since().map(|_| self.index.session_mac(of, generation, expires_at))
    }

    /// Whether a session's row is its owner's. `begun_at` is the position of the event by which the
    /// session began in the checked account of the row's owner; `None` if it is not open there. A
    /// row without MAC is that of a session from before the store's signatures.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the session.
    pub fn check_session_row(
        &self,
        row: &SessionRow,
        begun_at: Option<u64>,
    ) -> Result<(), StoreError> {
        let corrupt = |what: &str| Err(StoreError::Corrupt(format!("session {}: {what}", row.id)));
        let Some(begun_at) = begun_at else {
            return corrupt("the account of its owner has no such session");
        };
        let of = (row.id, row.owner);
        match &row.mac {
            Some(mac) if self.index.verify_session_mac(of, row.generation, row.expires_at, mac) => {
                Ok(())
            }
            Some(_) => corrupt("it does not match its MAC"),
            None if self.signed_since().is_some_and(|since| begun_at > since) => {
                corrupt("its MAC is missing")
            }
            None => Ok(()),
        }
    }

    /// Whether a unique value is its holder's. `held` are the values that the holder's sealed
    /// account names, read when the account had this version already.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the holder.
    pub fn check_claim_row(
        &self,
        (row, version): (HeldClaim, u64),
        held: &[(ClaimKind, [u8; 32])],
    ) -> Result<(), StoreError> {
        if !held.contains(&(row.kind, row.hash)) {
            return Err(StoreError::Corrupt(format!(
                "claim ({:?}) of user {}: the account of its holder does not have it",
                row.kind, row.holder
            )));
        }
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).put(row, version);
        Ok(())
    }

    /// Whether a claim was found to be its holder's at this version of the holder's account.
    pub(crate) fn knows(&self, row: HeldClaim, version: u64) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(&row) == Some(&version)
    }
}

impl SignEvents for Evidence {
    fn sign(&self, leaf: &[u8; 32], before: &[u8; 32]) -> [u8; 64] {
        self.index.event_signature(leaf, before)
    }
}
