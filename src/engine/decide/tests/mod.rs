//! Decisions as tables: a state, what happens, and everything that is decided, as lines.

mod claims;
mod items;
mod plans;
mod requests;
mod stage;
