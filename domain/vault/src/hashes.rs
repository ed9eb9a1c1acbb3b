//! Keyed hashes (`ops/docs/FORMATS.md`, section 4): they show whether two values are equal without
//! revealing them. A reader of the store who lacks the index key cannot test guesses; a plain hash
//! would allow that for contexts and user names.

use crate::keys::{IndexKey, KEY_LEN, StoreIndexKey};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::{CommandId, ContextTag, Fingerprint, SessionId, UserId};
use claviger_domain::timestamp::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Block length of SHA-256.
const BLOCK_LEN: usize = 64;

/// HMAC-SHA-256 over the length-prefixed arguments.
fn keyed_hash(key: &[u8; KEY_LEN], args: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a short key with zeros anyway (RFC 2104), and a key of one whole block cannot fail.
    let mut block = Zeroizing::new([0; BLOCK_LEN]);
    for (byte, from) in block.iter_mut().zip(key) {
        *byte = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for arg in args {
        // Fed one by one rather than concatenated first, to avoid a second copy of a secret. No
        // argument reaches 4 GiB.
        mac.update(&u32::try_from(arg.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(arg);
    }
    mac.finalize().into_bytes().into()
}

/// The first 16 bytes of a keyed hash.
fn keyed_hash_16(key: &[u8; KEY_LEN], args: &[&[u8]]) -> [u8; 16] {
    let mut half = [0; 16];
    for (byte, from) in half.iter_mut().zip(keyed_hash(key, args)) {
        *byte = from;
    }
    half
}

impl IndexKey {
    /// The id of a command that has an idempotency key; the caller's repeat has the same id.
    /// `mutation` is the contract's name, for example `addKey`, whichever API was used.
    pub fn command_id(&self, mutation: &str, idempotency_key: &str) -> CommandId {
        CommandId(keyed_hash_16(
            self.as_bytes(),
            &[b"claviger/command/1", mutation.as_bytes(), idempotency_key.as_bytes()],
        ))
    }

    /// Distinguishes a repeat of a command from another command under the same idempotency key.
    /// `canonical_input` is the coerced input, secrets included, as JSON with sorted keys.
    pub fn request_hash(&self, mutation: &str, canonical_input: &[u8]) -> [u8; 32] {
        keyed_hash(self.as_bytes(), &[b"claviger/request/1", mutation.as_bytes(), canonical_input])
    }

    /// Stands for a context in an event's facts. `context` is trimmed, as the event's content holds
    /// it.
    pub fn context_tag(&self, context: &str) -> ContextTag {
        ContextTag(keyed_hash_16(self.as_bytes(), &[b"claviger/context/1", context.as_bytes()]))
    }

    /// Detects a secret that the same user already stored. Fingerprints of different users never
    /// match.
    pub fn fingerprint(&self, secret: &ApiKeySecret) -> Fingerprint {
        Fingerprint(keyed_hash(
            self.as_bytes(),
            &[b"claviger/fingerprint/1", secret.expose().as_bytes()],
        ))
    }
}

impl StoreIndexKey {
    /// The value that makes a username unique. `folded` is the name without joiners, after
    /// NFKC, full case folding and NFKC.
    pub fn claim_username(&self, folded: &str) -> [u8; 32] {
        keyed_hash(self.as_bytes(), &[b"claviger/claim/username/1", folded.as_bytes()])
    }

    /// The value that makes an e-mail address unique. `lowered` is trimmed and in lower case.
    pub fn claim_email(&self, lowered: &str) -> [u8; 32] {
        keyed_hash(self.as_bytes(), &[b"claviger/claim/email/1", lowered.as_bytes()])
    }

    /// The value that makes an external issuer's user unique: both texts as they stand in the
    /// token.
    pub fn claim_identity(&self, issuer: &str, subject: &str) -> [u8; 32] {
        keyed_hash(
            self.as_bytes(),
            &[b"claviger/claim/identity/1", issuer.as_bytes(), subject.as_bytes()],
        )
    }

    /// Authenticates a refresh token. The store keeps only the generation, so a reader of the store
    /// cannot forge a token.
    pub fn refresh_mac(&self, session: SessionId, generation: u32) -> [u8; 32] {
        let generation = u64::from(generation).to_be_bytes();
        keyed_hash(self.as_bytes(), &[b"claviger/refresh/1", session.0.as_bytes(), &generation])
    }

    /// Whether `mac` is [`StoreIndexKey::refresh_mac`] of these arguments, in constant time.
    pub fn verify_refresh_mac(&self, session: SessionId, generation: u32, mac: &[u8; 32]) -> bool {
        self.refresh_mac(session, generation).ct_eq(mac).into()
    }

    /// Authenticates a refresh token that names its user, the second format.
    pub fn refresh_mac_2(&self, session: SessionId, owner: UserId, generation: u32) -> [u8; 32] {
        let generation = u64::from(generation).to_be_bytes();
        let (session, owner) = (session.0.as_bytes(), owner.0.as_bytes());
        keyed_hash(self.as_bytes(), &[b"claviger/refresh/2", session, owner, &generation])
    }

    /// Whether `mac` is [`StoreIndexKey::refresh_mac_2`] of these arguments, in constant time.
    pub fn verify_refresh_mac_2(
        &self,
        (session, owner): (SessionId, UserId),
        generation: u32,
        mac: &[u8; 32],
    ) -> bool {
        self.refresh_mac_2(session, owner, generation).ct_eq(mac).into()
    }

    /// Authenticates a session's row: whose it is, its newest generation and until when it lasts.
    pub fn session_mac(
        &self,
        (session, owner): (SessionId, UserId),
        generation: u32,
        expires_at: Timestamp,
    ) -> [u8; 32] {
        let generation = u64::from(generation).to_be_bytes();
        let (session, owner) = (session.0.as_bytes(), owner.0.as_bytes());
        let expires_at = expires_at.0.to_be_bytes();
        keyed_hash(
            self.as_bytes(),
            &[b"claviger/session/1", session, owner, &generation, &expires_at],
        )
    }

    /// Whether `mac` is [`StoreIndexKey::session_mac`] of these arguments, in constant time.
    pub fn verify_session_mac(
        &self,
        of: (SessionId, UserId),
        generation: u32,
        expires_at: Timestamp,
        mac: &[u8; 32],
    ) -> bool {
        self.session_mac(of, generation, expires_at).ct_eq(mac).into()
    }

    /// Signs an event by its leaf, which covers all of it, and by the root of the tree before it,
    /// which covers what it follows: a writer of the store can recompute the leaf of an event that
    /// they changed, but not this, and an event of another history breaks the next one's. The root
    /// comes first, and then the MAC.
    pub fn event_signature(&self, leaf: &[u8; 32], before: &[u8; 32]) -> [u8; 64] {
        let mac = keyed_hash(self.as_bytes(), &[b"claviger/event-signature/1", leaf, before]);
        let mut signature = [0; 64];
        let (root, rest) = signature.split_at_mut(32);
        root.copy_from_slice(before);
        rest.copy_from_slice(&mac);
        signature
    }

    /// Whether `signature` is [`StoreIndexKey::event_signature`] of this leaf and the root in it, in
    /// constant time.
    pub fn verify_event_signature(&self, leaf: &[u8; 32], signature: &[u8; 64]) -> bool {
        let Some(before) = signature.first_chunk() else { return false };
        self.event_signature(leaf, before).ct_eq(signature).into()
    }

    /// Authenticates a stream ticket. `body` is the ticket without its MAC.
    pub fn ticket_mac(&self, body: &[u8]) -> [u8; 32] {
        keyed_hash(self.as_bytes(), &[b"claviger/ticket/1", body])
    }

    /// Whether `mac` is [`StoreIndexKey::ticket_mac`] of this body, in constant time.
    pub fn verify_ticket_mac(&self, body: &[u8], mac: &[u8; 32]) -> bool {
        self.ticket_mac(body).ct_eq(mac).into()
    }

    /// Proves that a cursor was sent on the stream opened with a ticket.
    pub fn ticket_event_mac(&self, ticket: Uuid, cursor: &str) -> [u8; 16] {
        keyed_hash_16(
            self.as_bytes(),
            &[b"claviger/ticket-event/1", ticket.as_bytes(), cursor.as_bytes()],
        )
    }

    /// Whether `mac` is [`StoreIndexKey::ticket_event_mac`] of these arguments, in constant time.
    pub fn verify_ticket_event_mac(&self, ticket: Uuid, cursor: &str, mac: &[u8; 16]) -> bool {
        self.ticket_event_mac(ticket, cursor).ct_eq(mac).into()
    }
}
