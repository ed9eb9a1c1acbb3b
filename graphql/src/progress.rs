//! How far a subscription has come, for a face that resumes it.

use std::sync::Arc;

/// A face that must know where a subscription stands, whatever the client selects, puts this into the request's data.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "functions")]
pub struct Progress {
    /// Goes before the argument `after`: a cursor the client held when its stream was cut.
    pub resume: Option<String>,
    /// Called with the cursor where the subscription begins, and then with each item's before the item itself.
    pub passed: Arc<dyn Fn(String) + Send + Sync>,
}
