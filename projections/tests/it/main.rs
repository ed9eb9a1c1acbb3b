//! What the projections promise: the feed of a run, how its text becomes durable, and what views hold.

#[cfg(test)]
mod flusher;
#[cfg(test)]
mod run_feed;
#[cfg(test)]
mod views;
