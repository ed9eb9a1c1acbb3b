//! The guarantees of the projections: the feed of a run, how its text becomes durable, and the
//! contents of views.

#[cfg(test)]
mod flusher;
#[cfg(test)]
mod run_feed;
#[cfg(test)]
mod views;
