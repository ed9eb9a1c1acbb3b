//! JSON as Anthropic's own clients read it: of two fields of one name the last counts, a text may
//! hold half of a surrogate pair, and a field of another kind than expected is as good as absent.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// An object whose values are read when they are asked for.
#[derive(Default)]
pub(super) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

/// A number that the bill depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Not there, or null.
    Absent,
    Known(u64),
    /// There, but no count: negative, broken, too large, or a text.
    Unreadable,
}

/// A text in WTF-8: UTF-8 that may hold halves of surrogate pairs.
pub(super) struct Wide(pub(super) Vec<u8>);

impl<'a> Fields<'a> {
    /// `None` if it is no object.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(data).ok().map(Self)
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        Self::read(self.0.get(name)?.get().as_bytes())
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.get() != "null")
    }

    pub(super) fn list(&self, name: &str) -> Vec<&'a RawValue> {
        self.read_as(name).unwrap_or_default()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read_as(name)
    }

    pub(super) fn wide(&self, name: &str) -> Option<Wide> {
        self.read_as(name)
    }

    pub(super) fn count(&self, name: &str) -> Count {
        if !self.has(name) {
            return Count::Absent;
        }
        let number: Option<serde_json::Number> = self.read_as(name);
        let whole = number.and_then(|number| number.as_u64().or_else(|| whole(number.as_f64()?)));
        whole.map_or(Count::Unreadable, Count::Known)
    }

    /// All counts of an object.
    pub(super) fn counts(&self) -> Vec<(&str, Count)> {
        self.0.keys().map(|name| (name.as_str(), self.count(name))).collect()
    }

    fn read_as<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }
}

/// The largest number up to which floating point holds every integer.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// `20.0` is the count 20.
fn whole(number: f64) -> Option<u64> {
    let fits = (0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0;
    fits.then(|| format!("{number:.0}").parse().ok())?
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, serde_json takes halves of surrogate pairs, which it refuses in a string.
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Wide;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Wide, E> {
        Ok(Wide(bytes.to_vec()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Wide, E> {
        Ok(Wide(text.as_bytes().to_vec()))
    }
}
