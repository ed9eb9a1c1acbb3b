//! What the projections promise: the feed of a run.

#[cfg(test)]
mod run_feed;
