//! Planners: who is asked what, in which order, and what comes of it.

mod debate;
mod design;
mod hierarchical;
mod parallel;
mod routing;
mod sequential;
