//! `replay`: folds the log anew, owner by owner, compares with what a view holds, and mends the rows that differ in place. Nothing stops
//! meanwhile, and no view is ever empty.

mod followed;
mod inline;
mod record;
mod run;
mod runs;

pub use run::{Replay, Report, View};
