//! The demo's requests and output.

use crate::cli::client::{Client, Trouble};
use crate::cli::{CliError, output};
use claviger_domain::code::ErrorCode;
use serde_json::Value;

pub(super) fn heading(text: &str) {
    output::line("");
    output::line(&if output::is_terminal() {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    });
}

pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn nodes<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// A request of the demo that fails is a fault of the demo.
pub(super) fn broken(trouble: &Trouble) -> CliError {
    CliError::new(ErrorCode::Internal, format!("the demo's own request failed: {trouble}"))
}

pub(super) async fn ask(
    client: &mut Client,
    query: &str,
    variables: Value,
) -> Result<Value, CliError> {
    client.ask(query, variables).await.map_err(|trouble| broken(&trouble))
}
