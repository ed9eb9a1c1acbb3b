//! The source of new keys and nonces.

/// Randomness, passed in by the caller. This crate never calls the operating system, so a test can
/// script every byte.
///
/// An implementation fills from a cryptographically secure generator. The trait has no error: an
/// implementation that cannot draw must not return, because a key made of leftover bytes would be
/// worse than no process at all.
pub trait Entropy: Send + Sync {
    /// Overwrites every byte of `out`.
    fn fill(&self, out: &mut [u8]);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Entropy;

    /// The weakest possible generator, for tests that look only at form.
    pub(crate) struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }
}
