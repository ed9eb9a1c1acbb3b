//! Where new keys and nonces come from.

/// Randomness, handed in: this crate never asks the operating system, so that a test can script every byte.
///
/// An implementation fills from a cryptographically secure generator. It has no way to fail: one that can't draw must not come back,
/// since a key made of whatever was there before would be worse than no process at all.
pub trait Entropy: Send + Sync {
    /// Overwrites every byte of `out`.
    fn fill(&self, out: &mut [u8]);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Entropy;

    /// The worst generator there is, for tests that look at form only.
    pub(crate) struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }
}
