//! Texts put together and cut.

use crate::orchestration::Block;

/// Characters that a cut text keeps.
const CUT: usize = 200;

/// The first 200 characters and "..." of a longer text.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(CUT) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "...",
        None => text.to_owned(),
    }
}

/// The text of a task without its pictures.
pub fn text_of(task: &[Block]) -> String {
    let texts = task.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::Image { .. } => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}
