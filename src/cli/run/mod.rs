//! `run`: orchestrations from the command line, through the GraphQL API like any other client.

mod args;
mod command;
mod control;
mod face;
mod figures;
mod frame;
mod input;
mod list;
mod message;
mod pattern;
mod plain;
mod queries;
#[cfg(test)]
mod sample;
mod screen;
mod show;
mod start;
mod terminal;
mod watch;

pub(super) use args::RunCommand;
pub(super) use command::run;
pub(super) use face::{Face, Manner};
pub(super) use figures::{count, usd};
pub(super) use queries::START;
pub(super) use watch::{Left, Watch, watch};
