//! The view of keys: a user's own keys, with previews instead of secrets. Written inline, in the
//! transaction of the events.

mod apply;
mod view;

pub use apply::KeysView;
pub use view::{KeyContent, KeyFacts, KeyView, TestFacts};
