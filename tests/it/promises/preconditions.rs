//! What was checked before a decision still holds in it.
