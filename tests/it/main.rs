//! Black-box and integration tests, one binary.

// The helpers of tests are tests, too: clippy knows them by this mark.
#[cfg(test)]
mod store;
mod upstream;
