//! Views that are written after their events: the fold as a table, followers on a store, leases in time, and repair under load.

mod build;
mod fold;
mod follower;
mod replay;
mod tenure;
