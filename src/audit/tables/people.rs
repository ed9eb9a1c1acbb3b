//! Sessions and unique values.

use super::{Walk, hex};
use crate::audit::expected::{Began, Expected};
use crate::views::{SESSION_MS, open_user_agent};
use claviger_domain::id::{SessionId, UserId};
use claviger_projections::ports::{ClaimKind, ClaimRow, SessionRow};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Missing {
    /// Unique values: holder and subject.
    claims: BTreeMap<(ClaimKind, [u8; 32]), (UserId, Uuid)>,
    sessions: BTreeMap<SessionId, UserId>,
}

impl Missing {
    pub(super) fn expect_claims(&mut self, expected: &Expected) {
        for (owner, user) in &expected.users {
            if user.account.is_erased {
                continue;
            }
            let names = user.names.iter().flatten().map(|name| (*name, owner.0));
            let secrets = user
                .ring
                .keys
                .iter()
                .map(|(key, held)| ((ClaimKind::Secret, held.fingerprint.0), key.0));
            self.claims
                .extend(names.chain(secrets).map(|(claim, subject)| (claim, (*owner, subject))));
        }
    }

    pub(super) fn expect_sessions(&mut self, expected: &Expected) {
        for (owner, user) in &expected.users {
            self.sessions.extend(user.account.sessions.iter().map(|session| (*session, *owner)));
        }
    }
}

impl Walk<'_> {
    pub(super) fn claim(&mut self, row: &ClaimRow, missing: &mut Missing) {
        let name = claim_name(row.kind, &row.hash);
        match missing.claims.remove(&(row.kind, row.hash)) {
            Some(expected) if expected == (row.holder, row.subject) => {}
            Some((owner, _)) => self.problem(format!(
                "{name} belongs to {owner}, and the row says {} and {}: restore the row from a backup",
                row.holder, row.subject
            )),
            None if self.may_stay(row) => {}
            None => self.unknown(&name),
        }
    }

    /// An erased user's fingerprints stay: no one else can have them, because each user's are made
    /// with a key of their own. The names of a user whose first event doesn't open aren't known.
    fn may_stay(&self, row: &ClaimRow) -> bool {
        let Some(user) = self.expected.users.get(&row.holder) else { return false };
        match row.kind {
            ClaimKind::Secret => user.account.is_erased,
            ClaimKind::Username | ClaimKind::Email | ClaimKind::Identity => {
                user.account.is_registered && user.names.is_none()
            }
        }
    }

    pub(super) fn missing_claims(&mut self, missing: &mut Missing) {
        for ((kind, hash), (owner, _)) in std::mem::take(&mut missing.claims) {
            self.problem(format!(
                "{} of {owner} is missing: restore the row from a backup, without it another user \
                 can take the value",
                claim_name(kind, &hash)
            ));
        }
    }

    pub(super) fn session(&mut self, row: &SessionRow, missing: &mut Missing) {
        let session = row.id.0;
        match missing.sessions.remove(&row.id) {
            None => self.unknown(&format!("session {session}")),
            Some(owner) if owner != row.owner => self.problem(format!(
                "session {session} belongs to {owner}, and the row says {}: delete the row, the \
                 user signs in again",
                row.owner
            )),
            Some(owner) => {
                let began = self.expected.users.get(&owner).and_then(|it| it.sessions.get(&row.id));
                if let Some(began) = began.cloned()
                    && let Some(what) = self.wrong(row, &began)
                {
                    self.problem(format!(
                        "session {session} of {owner}: {what}: delete the row, the user signs in again"
                    ));
                }
            }
        }
    }

    /// What the log says about a session, and what holds for every session: a refresh changes all
    /// times together.
    fn wrong(&mut self, row: &SessionRow, began: &Began) -> Option<&'static str> {
        if row.created_at != began.at {
            return Some("it began at another time");
        }
        if !self.opener.is_bound(row, began.position) {
            return Some("its MAC is missing or not of its owner, generation and expiry");
        }
        let agrees = row.rotated_at == row.last_seen_at
            && row.expires_at == row.last_seen_at.plus_ms(SESSION_MS);
        if row.generation == 0 || !agrees {
            return Some("its times do not agree with each other");
        }
        if row.generation == 1 && row.rotated_at != row.created_at {
            return Some("it was refreshed, and has its first refresh token");
        }
        let Some(expected) = &began.user_agent else { return None };
        let opened = self.opener.in_account(row, open_user_agent)?;
        (row.content.is_some() != expected.is_some() || opened.ok().as_ref() != Some(expected))
            .then_some("its user agent does not open or is another")
    }

    pub(super) fn missing_sessions(&mut self, missing: &mut Missing) {
        for (session, owner) in std::mem::take(&mut missing.sessions) {
            self.problem(format!(
                "session {} of {owner} is missing: nothing is lost, the user signs in again",
                session.0
            ));
        }
    }
}

fn claim_name(kind: ClaimKind, hash: &[u8; 32]) -> String {
    let what = match kind {
        ClaimKind::Username => "a username",
        ClaimKind::Email => "an e-mail address",
        ClaimKind::Secret => "a secret",
        ClaimKind::Identity => "an external identity",
    };
    format!(
        "the claim {} on {what}",
        hash.first_chunk::<8>().map(|head| hex(head)).unwrap_or_default()
    )
}
