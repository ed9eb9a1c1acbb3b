//! What happens next to a run: pure functions of its state and their arguments. They read no clock,
//! no store, no queue and no channel; they make no ids and no randomness. The worker supplies
//! those, and carries out the decisions.
//!
//! Each function applies the events it decides to the fold in [`WorkState`] at once, and returns
//! them with the effects that belong to them as a [`Decision`]. The order matters to the worker:
//! effects at once, then the events in one append, then the prepared calls. So a call is made only
//! after the event that announces it is durable.

mod claim;
mod next;
mod receive;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod withdraw;

pub(super) use claim::{PreviousOwner, claim, may_claim};
pub(super) use next::{Given, decide};
pub(super) use receive::{Received, interrupt, receive, suspend};
pub(super) use state::{Rules, Trying, WorkState};
pub(super) use turn::{Decision, Effect, Flow, PreparedCall};
pub(super) use withdraw::withdraw;
