//! The HTTP faces: our own layer between sockets and the rest.
//!
//! From the inside out: a face (today [`graphql`]; each has a folder) answers requests on its
//! paths; [`edge::envelope::wrap`] goes around all faces with what they share: origins, peers,
//! request ids, sizes, panics; [`connection::server::Server`] accepts connections and serves the
//! result. [`crate::system::panics::report_location_only`] is called before anything else at start.

pub mod connection;
pub mod edge;
pub mod graphql;
pub mod rest;
