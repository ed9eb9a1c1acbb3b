//! Views over the store: how the rows of each are written, opened, compared with the log and repaired.

mod followed;
mod inline;
mod inline_runs;
mod record;
mod replay;
mod rows;
mod run_rows;

pub use replay::{Replay, Report, View};
pub(crate) use rows::{
    AccountRows, KeyRingRows, SESSION_MS, account_row, key_row, open_account, open_key,
    open_user_agent,
};
pub(crate) use run_rows::{RunRows, open_run, open_run_row, read_open_run, run_row, run_row_says};
