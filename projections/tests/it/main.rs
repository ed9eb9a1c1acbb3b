//! What the projections promise: the feed of a run, and how its text becomes durable.

#[cfg(test)]
mod flusher;
#[cfg(test)]
mod run_feed;
