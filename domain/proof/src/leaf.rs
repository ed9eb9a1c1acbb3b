//! The hash of one event.

use super::tree::Hash;
use claviger_domain::event::Envelope;
use sha2::{Digest, Sha256};

/// SHA-256 over the sealed boxes of an event: `u32 count ‖ lp(box 1) ‖ … ‖ lp(box count)`; `None`
/// for an event without content. Lengths beyond `u32` can't occur: the size of boxes is bounded far
/// below.
pub fn content_digest(content: &[Vec<u8>]) -> Option<Hash> {
    if content.is_empty() {
        return None;
    }
    let mut digest = Sha256::new();
    digest.update(u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    for sealed in content {
        digest.update(u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(sealed);
    }
    Some(digest.finalize().into())
}

/// The leaf of an event: `SHA-256(0x00 ‖ body)`. `facts` and `content` are the bytes as they are
/// stored.
pub fn leaf_hash(envelope: &Envelope, facts: &[u8], content: &[Vec<u8>]) -> Hash {
    let body = envelope.leaf_body(facts, content_digest(content).as_ref());
    let mut digest = Sha256::new();
    digest.update([0]);
    digest.update(&body);
    digest.finalize().into()
}
