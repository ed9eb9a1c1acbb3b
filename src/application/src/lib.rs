#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod accounts;
mod administration;
mod command;
mod credentials;
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
pub use administration::{
    AccountChange, AccountChanged, AccountDetail, AccountFilter, AccountPage, AccountSearch,
    AccountState, Administration, Holdings, NewAccount, ResetToken, ServerInfo, lacks_role,
};
pub use claviger_projections::ports::BoxFuture;
pub use command::{Answer, CommandContext, CommandGroup, CommandKind, Commit};
pub use credentials::{Candidate, Circumstances, Credentials, LastTest, ModelInfo, reason};
pub use feeds::{EventFeed, Feeds, RunFeeds, RunMessages, Scope};
pub use key_commands::{KeyCommand, KeyCommands, KeyDone};
pub use principal::{ForeignToken, PeerKey, Principal, RequestInfo};
pub use reads::{EventView, KeyPage, Reads, SessionView};
pub use run_commands::{RunCommand, RunCommands, RunDone, StartRun};
pub use run_reads::{RunDetail, RunFilter, RunPage, RunReads, UsageCell};
pub use services::Ports;
