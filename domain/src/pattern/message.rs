//! The message of a call, put together from labelled parts.

use crate::orchestration::Block;
use serde_json::Value;

/// The one message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The content, in order.
    pub blocks: Vec<Block>,
    /// JSON schema of the answer, where it must be JSON.
    pub schema: Option<Value>,
}

/// A labelled part of a message.
pub(super) struct Part {
    label: String,
    body: Body,
}

/// The content under a label.
pub(super) enum Body {
    /// One text.
    Text(String),
    /// Label and text of each, one below another.
    Each(Vec<(String, String)>),
}

impl Part {
    pub(super) fn new(label: &str, body: Body) -> Self {
        Self { label: label.to_owned(), body }
    }
}

impl Prompt {
    /// Parts under their labels, one below another.
    pub(super) fn of(parts: &[Part]) -> Self {
        let mut text = String::new();
        for part in parts {
            let begin = if text.is_empty() { "# " } else { "\n\n# " };
            text.push_str(begin);
            text.push_str(&part.label);
            match &part.body {
                Body::Text(body) => {
                    text.push('\n');
                    text.push_str(body);
                }
                Body::Each(all) => {
                    for (label, body) in all {
                        text.push_str("\n## ");
                        text.push_str(label);
                        text.push('\n');
                        text.push_str(body);
                    }
                }
            }
        }
        Self { blocks: vec![Block::Text { text }], schema: None }
    }

    /// The prompt as it is shown to people: see [`shown`].
    pub fn text(&self) -> String {
        shown(&self.blocks)
    }

    /// Requires the answer to be JSON of this schema.
    pub(super) fn answered_by(self, schema: Value) -> Self {
        Self { schema: Some(schema), ..self }
    }
}

/// Blocks as they are shown to people: a picture becomes a placeholder that names its type.
pub fn shown(blocks: &[Block]) -> String {
    let shown = blocks.iter().map(|block| match block {
        Block::Text { text } => text.clone(),
        Block::Image { media_type, .. } => format!("[picture: {media_type}]"),
    });
    shown.collect::<Vec<_>>().join("\n\n")
}
