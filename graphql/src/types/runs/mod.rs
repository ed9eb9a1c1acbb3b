//! Orchestrations, their steps, their usage and the messages of their feeds.

mod definition;
mod messages;
mod orchestration;
mod step;
mod usage;
mod waiting;
mod words;

pub(crate) use messages::{Followed, OrchestrationMessage};
pub(crate) use orchestration::{Orchestration, OrchestrationConnection, orchestrations};
pub(crate) use usage::{UsageDimension, UsageRow, usage_by, usage_of_key};
pub(crate) use words::{AgentRole, FailurePolicy, OrchestrationState, Pattern};
