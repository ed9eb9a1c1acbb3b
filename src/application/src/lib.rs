#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod accounts;
mod command;
pub mod cursor;
mod feeds;
pub mod ids;
mod key_commands;
mod principal;
mod reads;
mod run_commands;
mod run_reads;
mod services;

pub use accounts::{Accounts, StreamTicket, Tokens};
pub use claviger_projections::ports::BoxFuture;
pub use command::{Answer, Call, Commit};
pub use feeds::{EventFeed, Feeds, RunFeeds, RunMessages, Scope};
pub use key_commands::{KeyCommand, KeyCommands, KeyDone};
pub use principal::{Caller, ForeignToken, RequestInfo};
pub use reads::{Candidate, EventView, KeyPage, ModelInfo, Reads, SessionView, Source};
pub use run_commands::{RunCommand, RunCommands, RunDone, StartRun};
pub use run_reads::{RunDetail, RunFilter, RunPage, RunReads, UsageCell};
pub use services::Ports;
