//! `demo`: a tour through the public API.

mod keys;
mod replies;
mod runs;
mod stage;
mod telling;

pub(super) use stage::run;
