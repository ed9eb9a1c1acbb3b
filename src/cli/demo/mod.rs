//! `demo`: the tour, all of it through the public API as anybody else would use it.

mod keys;
mod replies;
mod runs;
mod stage;
mod telling;

pub(super) use stage::run;
