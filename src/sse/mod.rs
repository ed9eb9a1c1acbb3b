//! Server-sent events as Anthropic and this server write them, read back.

pub mod decode;
