//! The HTTP faces: our own layer between sockets and the rest.
//!
//! A recipe for wiring, from the inside out: a [`graphql::Executor`] wraps the schema; [`graphql::GraphqlEndpoint`] speaks
//! GraphQL over HTTP in front of it, and [`live::LiveFace`] sockets and event streams beside it on one path; their router is merged with [`graphiql::router`], [`health::router`] and the other faces;
//! [`envelope::wrap`] goes around them all; [`server::Server`] carries the whole. [`panics::report_location_only`] is called once
//! at start.

pub mod envelope;
pub mod graphiql;
pub mod graphql;
pub mod health;
pub mod live;
pub mod origins;
pub mod panics;
pub mod peer;
mod preface;
pub mod problem;
pub mod schema;
pub mod server;
pub mod sse;
mod stall;
pub mod ws;
