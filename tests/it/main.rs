//! Black-box and integration tests, one binary.

mod store;
mod upstream;
