//! Automatic persisted queries (Apollo's protocol): a client sends a query's hash instead of its
//! text, and the text once, when the hash is unknown. The server computes the hash itself, so
//! nobody can store another text under it. A text with a string literal or a comment runs and isn't
//! kept: it may be somebody's content, which an erasure must reach.

use super::documents::holds_content;
use super::refusal::Refusal;
use async_graphql::{Request, Value};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::read_hex;
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of texts kept; the least recently used go first.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The longest text kept, in bytes: longer ones run, but are sent each time.
const MAX_TEXT: usize = 64 * 1024;

/// Counted for each text besides its own bytes: hash, list, map.
const OVERHEAD: usize = 200;

const EXTENSION: &str = "persistedQuery";

type Hash = [u8; 32];

#[derive(Debug)]
struct Kept {
    texts: LruCache<Hash, Arc<str>>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct PersistedQueries(Mutex<Kept>);

impl Default for PersistedQueries {
    fn default() -> Self {
        Self(Mutex::new(Kept { texts: LruCache::unbounded(), bytes: 0 }))
    }
}

impl PersistedQueries {
    /// Fills in the text of a request that has only a hash. Returns the hash of a text that may be
    /// kept once the request is admitted.
    pub(super) fn resolve(&self, request: &mut Request) -> Result<Option<Hash>, Refusal> {
        let Some(extension) = request.extensions.get(EXTENSION) else { return Ok(None) };
        let claimed = read(extension)?;
        if request.query.is_empty() {
            let known = self.lock().texts.get(&claimed).map(Arc::clone);
            request.query = known.ok_or_else(unknown)?.to_string();
            return Ok(None);
        }
        if <Hash>::from(Sha256::digest(&request.query)) == claimed {
            Ok(Some(claimed))
        } else {
            Err(Refusal::bad_request(
                "the sha256Hash in extensions.persistedQuery does not match the query",
            ))
        }
    }

    pub(super) fn keep(&self, hash: Hash, text: &str) {
        if text.len() > MAX_TEXT || holds_content(text) {
            return;
        }
        let mut kept = self.lock();
        let Kept { texts, bytes } = &mut *kept;
        if texts.put(hash, Arc::from(text)).is_none() {
            *bytes += text.len() + OVERHEAD;
        }
        while *bytes > MAX_BYTES
            && let Some((_, oldest)) = texts.pop_lru()
        {
            *bytes = bytes.saturating_sub(oldest.len() + OVERHEAD);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of the protocol: urql and Apollo's clients for Kotlin and iOS compare the message with
/// them before they send the text, and others the code.
fn unknown() -> Refusal {
    let message = "PersistedQueryNotFound".to_owned();
    Refusal { code: ErrorCode::PersistedQueryNotFound, message, locations: Vec::new() }
}

/// The hash in the extension. The protocol has one version.
fn read(extension: &Value) -> Result<Hash, Refusal> {
    let wrong = || {
        Refusal::bad_request(
            "extensions.persistedQuery must have version 1 and a sha256Hash of 64 hexadecimal \
             digits",
        )
    };
    let Value::Object(fields) = extension else { return Err(wrong()) };
    let version = fields.get("version").and_then(|version| {
        if let Value::Number(number) = version { number.as_u64() } else { None }
    });
    let Some(Value::String(text)) = fields.get("sha256Hash") else { return Err(wrong()) };
    let hash = read_hex::<32>(&text.to_ascii_lowercase());
    hash.filter(|_| version == Some(1)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::id::write_hex;
    use serde_json::json;

    fn request(query: &str, hash: Hash) -> Request {
        let mut hex = String::new();
        write_hex(&mut hex, &hash).unwrap();
        let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hex } });
        let mut request = Request::new(query);
        request.extensions = serde_json::from_value(extensions).unwrap();
        request
    }

    fn text(n: usize, len: usize) -> String {
        format!("{{ {n} {} }}", " ".repeat(len))
    }

    fn offer(queries: &PersistedQueries, text: &str) {
        let hash = Sha256::digest(text).into();
        assert_eq!(queries.resolve(&mut request(text, hash)), Ok(Some(hash)));
        queries.keep(hash, text);
    }

    fn knows(queries: &PersistedQueries, text: &str) -> bool {
        let mut asked = request("", Sha256::digest(text).into());
        let found = queries.resolve(&mut asked);
        found.is_ok() && asked.query == text
    }

    #[test]
    fn memory_is_bounded_and_the_least_recently_used_go_first() {
        let queries = PersistedQueries::default();
        let often = text(1_000_000, 60_000);
        offer(&queries, &often);
        for n in 0..1_000 {
            offer(&queries, &text(n, 60_000));
            offer(&queries, &text(n, 60_000));
            assert!(knows(&queries, &often), "requested again and again, so it stays");
        }
        let kept = queries.lock();
        assert_eq!(
            kept.bytes,
            kept.texts.iter().map(|(_, text)| text.len() + OVERHEAD).sum::<usize>()
        );
        assert!(
            kept.bytes <= MAX_BYTES && kept.texts.len() > 100,
            "{} bytes, {} texts",
            kept.bytes,
            kept.texts.len()
        );
        drop(kept);
        assert!(knows(&queries, &text(999, 60_000)) && !knows(&queries, &text(0, 60_000)));
        offer(&queries, &text(5, MAX_TEXT));
        assert!(!knows(&queries, &text(5, MAX_TEXT)), "too long to be kept");
    }

    #[test]
    fn a_text_with_somebodys_words_in_it_is_not_kept() {
        let queries = PersistedQueries::default();
        for words in ["{ a(x: \"Ada\") }", "{ a(x: \"\"\"Ada\"\"\") }", "{ a } # for Ada"] {
            offer(&queries, words);
            assert!(!knows(&queries, words), "{words}");
        }
        assert_eq!(queries.lock().bytes, 0);
    }
}
