//! The query plan of each statement that a user's data can make slow.
