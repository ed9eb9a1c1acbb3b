//! The stores.

mod sqlite;
