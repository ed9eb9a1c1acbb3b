//! The store on MongoDB: the contract, broken stores, and what is particular to it.
//!
//! The server is, in this order: `CLAVIGER_TEST_MONGODB_URI`, a `mongod` on the path, SecantusDB
//! from `ops/test-mongodb`. With none of them these tests print so and pass, unless
//! `CLAVIGER_REQUIRE_MONGODB=1`.

mod connections;
mod contract;
mod failures;
mod gate;
mod harness;
mod particular;
mod processes;
pub(crate) mod proxy;
mod rewriting;
mod run;
mod stopped;
mod variants;
mod versions;
