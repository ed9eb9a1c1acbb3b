//! Event streams on `/graphql` with `accept: text/event-stream`: the mode "distinct connections" of the protocol graphql-sse.

mod answer;
mod frames;
mod pump;

pub(super) use answer::answer;
