//! What the operator learns of a failed call: one line in the log and one count, by class. Neither
//! has upstream's words in it, which belong to the user.

use super::error::UpstreamFailure;
use super::headers::Origin;
use super::stream::{CallFailure, CallItem, class_of};
use claviger_domain::orchestration::{FailureClass, Fault};
use std::fmt;
use std::sync::Arc;

/// Counts failed calls by class. Clones share the count; the default counts nothing.
#[derive(Clone, Default)]
pub struct Reports(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Reports {
    /// Passes the class of each failed call to `count`.
    pub fn to(count: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(count)))
    }

    pub(super) fn short_call(&self, failure: &UpstreamFailure) {
        self.failed(class_of(failure), failure.status, &failure.origin);
    }

    pub(super) fn item(&self, item: &CallItem) {
        if let CallItem::Failed(failure) = item {
            let CallFailure { class, status, origin, .. } = &**failure;
            self.failed(*class, *status, origin);
        }
    }

    fn failed(&self, class: FailureClass, status: Option<u16>, origin: &Origin) {
        // A refusal is an answer, and what this program ended did not fail.
        if matches!(class.fault(), Fault::Reply | Fault::Own) {
            return;
        }
        let class = class.as_str();
        let request_id = origin.request_id.as_deref();
        tracing::warn!(class, status, request_id, "a call to Anthropic failed");
        if let Some(count) = &self.0 {
            count(class);
        }
    }
}
