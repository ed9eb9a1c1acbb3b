//! What a hostile review broke, each as a test named after what it shows.

mod destruction;
mod edge;
