//! The hashes under which usernames, e-mail addresses and external identities are unique.

use super::Keychain;
use claviger_domain::account::Identity;
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
}
