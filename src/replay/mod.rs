//! `replay`: folds the log from scratch, owner by owner, compares the result with a view, and
//! repairs differing rows in place. Servers keep running, and no view is ever empty.

mod followed;
mod inline;
mod record;
mod run;
mod runs;

pub use run::{Replay, Report, View};
