//! How far a subscription has come, for a face that resumes it.

use std::sync::Arc;

/// A face that must track a subscription's cursor, even if the client does not select it, puts this
/// into the request's data.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "functions")]
pub struct Progress {
    /// A cursor that the client held when its stream was cut. Takes precedence over the argument
    /// `after`.
    pub resume: Option<String>,
    /// Called with the cursor where the subscription begins, and then with each item's cursor
    /// before the item itself.
    pub passed: Arc<dyn Fn(String) + Send + Sync>,
}
