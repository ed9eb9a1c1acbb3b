//! A small GraphQL client: the command line and the demo use the public API like any other client.

mod ask;
mod events;
mod trouble;

pub(super) use ask::Client;
pub(super) use events::{Events, Next};
pub(super) use trouble::{Trouble, code_of};
