//! What a hostile review broke, each as a test named after what it shows.

mod child;
mod clock;
mod defaults;
mod destruction;
mod edge;
mod external;
mod fairness;
mod hanging;
mod hosts;
mod losses;
mod names;
mod plans;
mod preconditions;
mod rebilling;
mod rows;
mod sockets;
mod splice;
mod spoiled;
mod taken_over;
mod tickets;
