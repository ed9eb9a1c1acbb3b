//! Work that goes on beside requests, in whichever process holds its lease.

pub mod lease;
pub mod timers;
pub mod view_follower;
