//! What was checked before a decision is checked again where the decision is committed.

mod gate;
mod runs;
mod sessions;
