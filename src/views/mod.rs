//! Views over the store: how the rows of each are written, opened, compared with the log and
//! repaired.

mod accounts;
mod check;
mod content_keys;
mod followed;
mod history;
mod inline;
mod keys;
mod open_runs;
mod owner_state;
mod record;
pub mod registry;
mod replace;
mod replay;
mod row;
mod runs;
mod sessions;
mod whole_log;

pub(crate) use accounts::{AccountRows, open_account};
pub(crate) use keys::{KeyRingRows, key_timer, open_key};
pub(crate) use open_runs::read_open_run;
pub(crate) use owner_state::Taken;
pub use registry::View;
pub use replay::{Replay, Report};
pub(crate) use runs::{DELTAS_MS, RunRows, open_run};
pub(crate) use sessions::{SESSION_MS, open_user_agent};
pub(crate) use whole_log::WholeLog;
