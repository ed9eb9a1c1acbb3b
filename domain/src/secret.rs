//! Text that must never be shown.

use zeroize::Zeroizing;

/// A secret as received: a password, an API key, a refresh token. Has no `Debug`, `Display` or
/// `Serialize`, so that it can't reach a log, an error or an event by accident; its memory is wiped
/// when it is dropped.
#[expect(missing_debug_implementations, reason = "a secret that can be printed will be printed")]
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every caller of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Bytes that may contain secrets, as they arrive or are written. No copy of them stays behind when
/// they need more room, and they are wiped when they are dropped.
#[expect(missing_debug_implementations, reason = "a secret that can be printed will be printed")]
#[derive(Default)]
pub struct WipedBytes(Zeroizing<Vec<u8>>);

impl WipedBytes {
    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of memory that they take.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The capacity after [`Self::extend`] by so many bytes.
    pub fn capacity_for(&self, more: usize) -> usize {
        let needed = self.0.len().saturating_add(more);
        if needed <= self.0.capacity() {
            self.0.capacity()
        } else {
            needed.max(self.0.capacity().saturating_mul(2))
        }
    }

    /// Adds bytes at the end.
    pub fn extend(&mut self, more: &[u8]) {
        let capacity = self.capacity_for(more.len());
        if capacity > self.0.capacity() {
            // Not `reserve`, which frees the old memory as it is.
            let mut moved = Zeroizing::new(Vec::with_capacity(capacity));
            moved.extend_from_slice(&self.0);
            self.0 = moved;
        }
        self.0.extend_from_slice(more);
    }

    /// The bytes themselves, still wiped when dropped.
    pub fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl std::io::Write for WipedBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_order_and_room_at_most_doubles() {
        let (mut bytes, mut expected) = (WipedBytes::default(), Vec::new());
        for n in 0..200_u8 {
            let more = vec![n; usize::from(n)];
            let announced = bytes.capacity_for(more.len());
            bytes.extend(&more);
            expected.extend_from_slice(&more);
            assert_eq!(bytes.capacity(), announced);
            assert!(announced <= expected.len().max(1) * 2);
        }
        assert_eq!(bytes.as_slice(), expected);
    }
}
