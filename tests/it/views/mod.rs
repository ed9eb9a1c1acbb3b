//! Views: folds as tables, followers on a store, leases in time, repair under load, and the rows of
//! runs.

mod build;
mod evolution;
mod fold;
mod follower;
mod replay;
mod runs;
mod tenure;
mod usage;
mod world;
