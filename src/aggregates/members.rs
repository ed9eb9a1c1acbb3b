//! What an account grants, folded from its checked events. The row of the view `accounts` shows the
//! same to readers, but anybody who can write to the store can change it.

use crate::keychain::{Evidence, decode};
use crate::system::failure::store_failure;
use claviger_domain::account::{Account, AccountEvent};
use claviger_domain::failure::Failure;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::{AccountFacts, AccountView};
use claviger_projections::ports::{Placed, Store, StoredEvent};
use cqrs_es::Aggregate as _;
use lru::LruCache;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Most accounts kept; one with ten sessions is about 1 KB.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Events read at a time.
const BATCH: usize = 500;

/// A user as the log knows them.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Roles, whether the user may sign in, since when tokens of an issuer are accepted.
    pub facts: AccountFacts,
    account: Account,
    /// Where in the log and when each open session began.
    begun: BTreeMap<SessionId, (u64, Timestamp)>,
}

impl Member {
    /// Where a session began; `None` if the account has no such open session.
    pub fn begun_at(&self, session: SessionId) -> Option<u64> {
        self.begun.get(&session).map(|(position, _)| *position)
    }

    /// When the user signed in, and so began the session.
    pub fn signed_in_at(&self, session: SessionId) -> Option<Timestamp> {
        self.begun.get(&session).map(|(_, at)| *at)
    }

    fn apply(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let placed = Placed {
            id: envelope.id,
            position: envelope.position,
            version: envelope.version,
            at: envelope.at,
        };
        let decoded: AccountEvent = decode(event, None)?;
        let mut view = AccountView { facts: std::mem::take(&mut self.facts), content: None };
        view.apply(&decoded, &placed);
        self.facts = view.facts;
        if let AccountEvent::SignedIn(facts, _) = &decoded {
            self.begun.insert(facts.session, (placed.position, placed.at));
        }
        self.account.apply(decoded);
        let open = &self.account.sessions;
        self.begun.retain(|session, _| open.contains(session));
        Ok(())
    }
}

/// The accounts of one store, up to date at each reading.
pub(super) struct Members {
    evidence: Arc<Evidence>,
    kept: Mutex<LruCache<UserId, Member>>,
}

impl Members {
    pub(super) fn new(evidence: Arc<Evidence>) -> Self {
        Self { evidence, kept: Mutex::new(LruCache::new(KEPT)) }
    }

    /// The account now; `None` for an unknown user.
    pub(super) async fn load(
        &self,
        store: &dyn Store,
        user: UserId,
    ) -> Result<Option<Member>, Failure> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&user).cloned();
        let mut member = kept.unwrap_or_default();
        let before = member.account.version;
        loop {
            let version = member.account.version;
            let events = store.read_stream(StreamName::Account(user), version, BATCH).await;
            let events = events.map_err(|error| store_failure(&error))?;
            for event in &events {
                self.evidence.check_signature(event).map_err(|error| store_failure(&error))?;
                member.apply(event)?;
            }
            if events.len() < BATCH {
                break;
            }
        }
        if member.account.version == 0 {
            return Ok(None);
        }
        if member.account.version > before {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let newer = |known: &Member| known.account.version >= member.account.version;
            if !kept.peek(&user).is_some_and(newer) {
                kept.put(user, member.clone());
            }
        }
        Ok(Some(member))
    }
}
