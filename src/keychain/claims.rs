//! The hashes under which usernames, e-mail addresses and external identities are unique.

use super::Keychain;
use claviger_domain::account::{Identity, SignInNames};
use claviger_projections::ports::ClaimKind;
use unicode_normalization::UnicodeNormalization;

/// The form in which usernames are unique: without joiners, which are hardly seen, then NFKC, full
/// case fold, NFKC.
fn folded(username: &str) -> String {
    let compatible: String =
        username.chars().filter(|c| !matches!(c, '\u{200c}' | '\u{200d}')).nfkc().collect();
    caseless::default_case_fold_str(&compatible).nfkc().collect()
}

impl Keychain {
    pub(crate) fn identity_claim(&self, identity: &Identity) -> [u8; 32] {
        self.index().claim_identity(&identity.issuer, &identity.subject)
    }

    pub(crate) fn username_claim(&self, username: &str) -> [u8; 32] {
        self.index().claim_username(&folded(username))
    }

    pub(crate) fn email_claim(&self, lowered: &str) -> [u8; 32] {
        self.index().claim_email(&lowered.nfc().collect::<String>())
    }

    /// The values that an account holds. An e-mail address that only an issuer vouches for isn't
    /// claimed: the claim would keep the address's owner from registering.
    pub fn claims_of(
        &self,
        username: &str,
        email: &str,
        identity: Option<&Identity>,
    ) -> [(ClaimKind, [u8; 32]); 2] {
        let second = match identity {
            Some(identity) => (ClaimKind::Identity, self.identity_claim(identity)),
            None => (ClaimKind::Email, self.email_claim(email)),
        };
        [(ClaimKind::Username, self.username_claim(username)), second]
    }

    /// The values that an account holds once an identity is linked to it, in the place of its e-mail
    /// address.
    pub(crate) fn link_claim(&self, held: &mut Vec<(ClaimKind, [u8; 32])>, identity: &Identity) {
        held.retain(|(kind, _)| *kind != ClaimKind::Email);
        held.push((ClaimKind::Identity, self.identity_claim(identity)));
    }

    /// The values that an account holds once its names are changed.
    pub(crate) fn rename_claims(&self, held: &mut Vec<(ClaimKind, [u8; 32])>, new: &SignInNames) {
        let username = new.username.iter().map(|it| (ClaimKind::Username, self.username_claim(it)));
        let email = new.email.iter().map(|it| (ClaimKind::Email, self.email_claim(it)));
        for claim in username.chain(email) {
            held.retain(|(kind, _)| *kind != claim.0);
            held.push(claim);
        }
    }
}
