//! `bench`: measurements against a baseline of the same run.

mod append;
mod attacks;
mod figures;
mod live;
mod part;
mod query;
mod run;
mod runs;

pub(super) use run::run;
