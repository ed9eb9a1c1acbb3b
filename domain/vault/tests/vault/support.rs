//! Scripted entropy, and shorthand for ids and keys.

use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_vault::Entropy;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Returns these bytes in this order, and panics when they run out.
pub(crate) struct Script(Mutex<VecDeque<u8>>);

impl Script {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Mutex::new(bytes.iter().copied().collect()))
    }
}

impl Entropy for Script {
    fn fill(&self, out: &mut [u8]) {
        let mut left = self.0.lock().unwrap();
        out.fill_with(|| left.pop_front().expect("the script has run out"));
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking() || self.0.lock().unwrap().is_empty(),
            "the script has unused bytes"
        );
    }
}

/// Never returns the same block twice. Not secret, only distinct.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let next = self
                .0
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&next.to_be_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) const OWNER: UserId = UserId(Uuid::from_u128(0xA));
pub(crate) const OTHER: UserId = UserId(Uuid::from_u128(0xB));
pub(crate) const KEY: KeyId = KeyId(Uuid::from_u128(0xC));
pub(crate) const RING: StreamName = StreamName::KeyRing(OWNER);

pub(crate) fn api_key(text: &str) -> ApiKeySecret {
    ApiKeySecret::parse(&SecretText::new(text.to_owned())).unwrap()
}
