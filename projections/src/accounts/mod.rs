//! The view of accounts: a user's own data, and whether the user may sign in. Written inline, in
//! the transaction of the events.

mod apply;
mod view;

pub use view::{AccountContent, AccountFacts, AccountView};
