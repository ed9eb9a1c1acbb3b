//! A message as it is made: what is sent, what comes back piece by piece, and every way in which it can end.

mod call;
mod item;
mod message;
mod request;
#[cfg(test)]
mod tests;

pub use call::StreamLimits;
pub use item::{CallEnd, CallFailure, CallItem, CallStream};
pub use request::MessageRequest;

pub(super) use message::{Message, Progress};
