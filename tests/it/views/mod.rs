//! Views: folds as tables, followers on a store, leases in time, repair under load, and the rows of
//! runs.

mod build;
mod evolution;
mod fold;
mod follower;
mod lease_holder;
mod replay;
mod runs;
mod usage;
mod world;
