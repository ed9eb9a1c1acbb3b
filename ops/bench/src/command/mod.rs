//! The commands: each measures, then prints figures beside those of its baseline.

mod append;
mod attacks;
mod figures;
mod live;
mod part;
mod query;
mod run;
mod runs;

pub(crate) use run::run;
