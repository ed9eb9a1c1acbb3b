//! Decisions as tables: a state, an input, and the complete decision, as lines.

mod claims;
mod items;
mod plans;
mod requests;
mod stage;
