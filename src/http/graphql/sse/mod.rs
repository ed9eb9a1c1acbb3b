//! Event streams on `/graphql` with `accept: text/event-stream`: the "distinct connections" mode of
//! the graphql-sse protocol.

mod answer;
mod frames;
mod pump;

pub(super) use answer::answer;
