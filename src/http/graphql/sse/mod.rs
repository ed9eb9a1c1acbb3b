//! Streams on `/graphql`: with `accept: text/event-stream` the "distinct connections" mode of the
//! graphql-sse protocol, with `accept: multipart/mixed;subscriptionSpec=1.0` the multipart protocol of
//! Apollo. They differ in what is written, and in nothing else.

mod answer;
mod format;
mod frames;
mod pump;

pub(super) use answer::answer;
pub(in crate::http::graphql) use format::Format;
