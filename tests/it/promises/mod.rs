//! What a hostile review broke, each as a test named after what it shows. Threats, and what is
//! defended against whom, are listed in `ops/docs/SECURITY.md`.

mod child;
mod destruction;
mod edge;
mod fairness;
mod names;
mod plans;
mod preconditions;
mod rows;
mod sockets;
