//! Shortening and joining texts.

use crate::orchestration::Block;

/// Characters that remain of a shortened text.
const CUT: usize = 200;

/// The text, or the first 200 characters and "..." of a longer one.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(CUT) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "...",
        None => text.to_owned(),
    }
}

/// The texts of a task, without its pictures.
pub fn text_of(task: &[Block]) -> String {
    let texts = task.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::Image { .. } => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}
