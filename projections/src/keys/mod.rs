//! The view of keys: what their owner sees, masks instead of secrets. Written inline, in the transaction of the events.

mod apply;
mod view;

pub use apply::KeysView;
pub use view::{KeyContent, KeyFacts, KeyView, TestFacts};
