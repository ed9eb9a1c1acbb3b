//! Secrets that can be found again, and the search for them: any 12 characters in a row, raw, in
//! base64 at any of its three alignments (both alphabets), or in hex.

use crate::harness::dice::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::HashSet;

/// What every key begins with: no secret.
pub(super) const KIND: &str = "sk-ant-api03-";

const WINDOW: usize = 12;

/// 93 characters that nobody can guess between the kind and the closing `AA`.
pub(super) fn api_key(dice: &mut Dice) -> String {
    format!("{KIND}{}AA", random(dice, 93))
}

pub(super) fn random(dice: &mut Dice, len: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..len).map(|_| char::from(*dice.pick(LETTERS))).collect()
}

/// What must be found nowhere.
#[derive(Default)]
pub(super) struct Needles {
    short: HashSet<Vec<u8>>,
    hex: HashSet<Vec<u8>>,
}

impl Needles {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a String>) -> Self {
        let mut needles = Self::default();
        for secret in secrets {
            needles.add(secret);
        }
        needles
    }

    /// Of a key what comes after its kind; of anything else the whole.
    pub(super) fn add(&mut self, secret: &str) {
        let secret = secret.strip_prefix(KIND).unwrap_or(secret);
        assert!(secret.len() >= WINDOW, "too short a secret");
        let windows = |text: &str, len: usize| -> Vec<Vec<u8>> {
            text.as_bytes().windows(len).map(<[u8]>::to_vec).collect()
        };
        self.short.extend(windows(secret, WINDOW));
        for start in 0..3 {
            for text in [
                STANDARD_NO_PAD.encode(&secret.as_bytes()[start..]),
                URL_SAFE_NO_PAD.encode(&secret.as_bytes()[start..]),
            ] {
                self.short.extend(windows(&text, WINDOW));
            }
        }
        let hex = |byte: u8| format!("{byte:02x}");
        let lower: String = secret.bytes().map(hex).collect();
        self.hex.extend(windows(&lower, 2 * WINDOW));
        self.hex.extend(windows(&lower.to_uppercase(), 2 * WINDOW));
    }

    /// The first place where a secret begins.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Option<usize> {
        let short = bytes.windows(WINDOW).position(|window| self.short.contains(window));
        short.or_else(|| bytes.windows(2 * WINDOW).position(|window| self.hex.contains(window)))
    }

    /// Fails the test with the place and what stands before it.
    #[track_caller]
    pub(super) fn assert_none_in(&self, place: &str, bytes: &[u8]) {
        if let Some(at) = self.found_in(bytes) {
            let before = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]).into_owned();
            panic!("{place} holds a secret at byte {at}, after: {before}");
        }
    }
}

#[test]
fn the_search_finds_every_form() {
    let mut dice = Dice::new(7);
    let key = api_key(&mut dice);
    let needles = Needles::of([&key]);
    let inner = key.get(40..55).unwrap();
    let hex =
        |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();
    for offset in 0..3 {
        let container = format!("{}{key}", "x".repeat(offset));
        assert!(needles.found_in(STANDARD_NO_PAD.encode(&container).as_bytes()).is_some());
        assert!(needles.found_in(URL_SAFE_NO_PAD.encode(&container).as_bytes()).is_some());
    }
    for text in [format!("a{inner}b"), hex(inner), hex(inner).to_lowercase(), key.clone()] {
        assert!(needles.found_in(text.as_bytes()).is_some(), "{text}");
    }
    let preview = format!("{}...{}", key.get(..16).unwrap(), key.get(104..).unwrap());
    assert_eq!(needles.found_in(preview.as_bytes()), None, "the preview is no leak");
    assert_eq!(needles.found_in(&key.as_bytes()[40..51]), None);
}
