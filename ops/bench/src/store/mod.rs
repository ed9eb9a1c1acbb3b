//! How each kind of store is measured, and the bare means that it is compared with.

mod counter;
mod mongo;
mod sqlite;
mod sqlite_rows;

pub use mongo::MongoGround;
pub use sqlite::SqliteGround;
pub use sqlite_rows::SqliteRows;
