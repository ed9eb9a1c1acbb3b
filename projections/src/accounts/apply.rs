//! Folds events into the row.

use super::view::{AccountContent, AccountView};
use crate::ports::Placed;
use claviger_domain::account::{AccountEvent, SignInNames};
use claviger_domain::timestamp::Timestamp;

impl AccountView {
    /// Applies one event. `placed` is its place in the stream.
    pub fn apply(&mut self, event: &AccountEvent, placed: &Placed) {
        if !event.is_of_sessions() {
            self.facts.version = Some(placed.version);
        }
        match event {
            AccountEvent::AccountRegistered(facts, content) => {
                self.facts.roles = facts.roles.iter().copied().collect();
                self.facts.is_active = true;
                self.facts.created_at = placed.at;
                self.content = content.as_ref().map(|person| AccountContent {
                    username: person.username.clone(),
                    email: person.email.clone(),
                    full_name: person.full_name.clone(),
                    identity: None,
                });
            }
            AccountEvent::IdentityLinked(_, identity) => {
                self.facts.is_external = true;
                if let Some(content) = &mut self.content {
                    content.identity.clone_from(identity);
                }
            }
            AccountEvent::AccountRenamed(_, renamed) => {
                if let (Some(content), Some(renamed)) = (&mut self.content, renamed) {
                    content.full_name.clone_from(&renamed.full_name);
                }
            }
            AccountEvent::SignInNamesChanged(_, names) => {
                if let (Some(content), Some(names)) = (&mut self.content, names) {
                    let SignInNames { username, email } = names.clone();
                    content.username = username.unwrap_or_else(|| content.username.clone());
                    content.email = email.unwrap_or_else(|| content.email.clone());
                }
            }
            AccountEvent::RoleGranted(facts) => {
                self.facts.roles.insert(facts.role);
            }
            AccountEvent::RoleRevoked(facts) => {
                self.facts.roles.remove(&facts.role);
            }
            AccountEvent::AccountDeactivated(_) => self.facts.is_active = false,
            AccountEvent::AccountReactivated(_) => self.facts.is_active = true,
            AccountEvent::SignedIn(..) => self.facts.last_sign_in_at = Some(placed.at),
            AccountEvent::AccountErased(_) => {
                self.facts.is_active = false;
                self.content = None;
            }
            AccountEvent::SignedOut(facts) => self.end_tokens(facts.tokens_from, None, placed),
            AccountEvent::SessionsRevoked(facts) => {
                self.end_tokens(None, facts.tokens_kept, placed);
            }
            AccountEvent::PasswordChanged(_)
            | AccountEvent::PasswordResetCreated(_)
            | AccountEvent::PasswordReset(_)
            | AccountEvent::RefreshTokenReused(_) => {}
        }
    }

    /// A user of an external issuer has one session here, and tokens that outlive it.
    fn end_tokens(&mut self, from: Option<Timestamp>, kept: Option<Timestamp>, placed: &Placed) {
        if self.facts.is_external {
            let ended_at = from.map_or(placed.at, |from| Timestamp(from.0.saturating_sub(1)));
            self.facts.ended_at = self.facts.ended_at.max(Some(ended_at));
            self.facts.tokens_kept = kept;
        }
    }
}
