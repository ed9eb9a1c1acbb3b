//! Black-box and integration tests, one binary.

mod http;
