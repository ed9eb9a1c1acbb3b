//! A streamed message: the request, the items of the response, and every way in which it can end.

mod blocks;
mod call;
mod counts;
mod item;
mod json;
mod message;
mod request;
#[cfg(test)]
mod tests;

pub use call::StreamLimits;
pub use item::{CallEnd, CallFailure, CallItem, CallStream};
pub use request::MessageRequest;

pub(super) use item::class_of;
pub(super) use message::{Message, Progress};
