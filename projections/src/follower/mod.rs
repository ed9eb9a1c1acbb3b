//! Views that are written after their events: the fold of a batch, and the follower that moves a
//! view along the log.

mod driver;
mod fold;

pub use driver::{BATCH, Follower, PATIENCE, Step};
pub use fold::{Folded, FollowedView, Rows, Touch, fold, touched};
