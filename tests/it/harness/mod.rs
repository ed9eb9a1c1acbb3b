//! The one world of the tests: time, chance, stores, processes, clients and people. A suite adds
//! what it alone needs, and stands on this.
//!
//! - `environment`: a clock that is held or put forward, ids, and chance that makes nothing wait
//! - `dice`: random numbers by a seed, and the variables that choose the long forms of tests
//! - `stores`, `mongo`, `bent`: stores of each kind, the MongoDB server, and stores that misbehave
//! - `world`, `process`: an empty store with a simulated upstream, and processes in this program on
//!   it
//! - `person`, `runs`: people who give commands through the ports, and runs of theirs
//! - `events`: appends and stored events
//! - `program`: the real program as an operator runs it
//! - `client`, `mutations`: the HTTP and GraphQL client
//! - `socket`: the WebSocket client, and how tests wait
//! - `issuer`: an external issuer, its keys and tokens

pub(crate) mod bent;
pub(crate) mod client;
pub(crate) mod dice;
pub(crate) mod environment;
pub(crate) mod events;
pub(crate) mod issuer;
pub(crate) mod mongo;
pub(crate) mod mutations;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod runs;
pub(crate) mod socket;
pub(crate) mod stores;
pub(crate) mod upstream;
pub(crate) mod world;
