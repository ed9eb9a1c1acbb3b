//! The request for a message.

use claviger_domain::orchestration::Block;
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRequest {
    pub model: String,
    /// Maximum tokens of thinking and answer together.
    pub max_tokens: u32,
    /// The system prompt.
    pub system: Option<String>,
    /// The content of the only user turn.
    pub blocks: Vec<Block>,
    /// JSON schema of the answer, if it must be JSON.
    pub schema: Option<Value>,
}

impl MessageRequest {
    /// The body of `POST /v1/messages`, with streaming on.
    pub fn to_json(&self) -> Value {
        let content: Vec<Value> = self.blocks.iter().map(block).collect();
        let mut body = json!({
            "model": self.model,
            "max_tokens": self.max_tokens,
            "stream": true,
            "messages": [{"role": "user", "content": content}],
        });
        if let Some(body) = body.as_object_mut() {
            if let Some(system) = &self.system {
                body.insert("system".to_owned(), json!(system));
            }
            if let Some(schema) = &self.schema {
                body.insert(
                    "output_config".to_owned(),
                    json!({"format": {"type": "json_schema", "schema": schema}}),
                );
            }
        }
        body
    }
}

fn block(block: &Block) -> Value {
    match block {
        Block::Text { text } => json!({"type": "text", "text": text}),
        Block::Image { media_type, data } => {
            json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}})
        }
    }
}
