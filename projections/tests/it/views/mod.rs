//! Views as folds of their events: tables.

mod activity;
mod given;
mod runs;
mod usage;
