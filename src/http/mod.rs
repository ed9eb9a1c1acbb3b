//! The HTTP faces, and the layer between them and the network.
//!
//! To wire them, from the inside out: a [`graphql::Executor`] wraps the schema.
//! [`graphql::GraphqlEndpoint`] serves GraphQL over HTTP in front of it, and [`live::LiveFace`]
//! adds sockets and event streams on the same path. Their router is merged with
//! [`graphiql::router`], [`health::router`] and the other faces. [`envelope::wrap`] goes around
//! them all, and [`server::Server`] serves the result. Call [`crate::system::panics::report_location_only`] first
//! thing at start.

pub mod envelope;
pub mod graphiql;
pub mod graphql;
pub mod health;
pub mod live;
pub mod origins;
pub mod peer;
mod preface;
pub mod problem;
pub mod schema;
pub mod server;
pub mod sse;
mod stall;
pub mod ws;
