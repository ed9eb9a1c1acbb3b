//! The view of accounts: who a user is, for themselves, and whether they may sign in. Written inline.

mod apply;
mod view;

pub use view::{AccountContent, AccountFacts, AccountView};
