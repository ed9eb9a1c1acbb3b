//! Runs: what may be asked of them, when, and what a definition must be.

mod control;
mod definition;
mod lifecycle;
