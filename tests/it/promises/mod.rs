//! What a hostile review broke, each as a test named after what it shows.

mod defaults;
mod edge;
mod external;
mod hosts;
mod names;
mod tickets;
