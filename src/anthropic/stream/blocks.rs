//! The text of a message's blocks, in the order of the blocks, whatever the order in which its
//! pieces arrive.

use super::super::error::Malformed;
use super::json::Wide;
use std::collections::BTreeMap;

/// Most blocks of a message. Upstream's have a handful.
const BLOCKS_MAX: usize = 4096;

/// Stands for half of a surrogate pair whose other half never came.
const LOST: &str = "\u{fffd}";

#[derive(Debug, Default)]
struct Block {
    /// `None` until a start or a delta tells.
    is_text: Option<bool>,
    is_closed: bool,
    /// Waits for the blocks before it.
    held: String,
    /// The first half of a surrogate pair.
    half: Vec<u8>,
}

/// The blocks that have begun.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: BTreeMap<u64, Block>,
    newest: u64,
}

impl Blocks {
    /// Whether nothing of the message's content has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// A block begins, perhaps with some text. A start without an index is of the next block.
    /// Returns the text that is due.
    pub(super) fn start(
        &mut self,
        index: Option<u64>,
        is_text: Option<bool>,
        first: Option<Wide>,
    ) -> Result<String, Malformed> {
        let next = if self.blocks.is_empty() { 0 } else { self.newest.saturating_add(1) };
        let index = index.unwrap_or(next);
        let block = self.block(index)?;
        block.is_text = is_text.or(block.is_text);
        self.newest = index;
        first.map_or_else(|| Ok(String::new()), |first| self.text(Some(index), first))
    }

    /// Text of a block, which need not have begun, and may have ended. Text without an index is of
    /// the newest block. Returns the text that is due.
    pub(super) fn text(&mut self, index: Option<u64>, more: Wide) -> Result<String, Malformed> {
        let index = index.unwrap_or(self.newest);
        let is_due = !self.blocks.range(..index).any(|(_, block)| block.holds_others());
        let block = self.block(index)?;
        if !*block.is_text.get_or_insert(true) {
            return Ok(String::new());
        }
        let text = joined(&mut block.half, more.0);
        if is_due {
            return Ok(text);
        }
        block.held.push_str(&text);
        Ok(String::new())
    }

    /// A block ends. Returns the text that is due.
    pub(super) fn stop(&mut self, index: Option<u64>) -> String {
        let index = index.unwrap_or(self.newest);
        let Some(block) = self.blocks.get_mut(&index) else { return String::new() };
        block.is_closed = true;
        self.due(false)
    }

    /// The message ends. Returns all remaining text.
    pub(super) fn finish(&mut self) -> String {
        self.due(true)
    }

    /// What is held, up to the first text block that is open, or all of it.
    fn due(&mut self, all: bool) -> String {
        let mut due = String::new();
        for block in self.blocks.values_mut() {
            due.push_str(&std::mem::take(&mut block.held));
            if all || block.is_closed {
                // Not before the text that came with it: its other half may still come.
                if !std::mem::take(&mut block.half).is_empty() {
                    due.push_str(LOST);
                }
            }
            if !all && block.holds_others() {
                break;
            }
        }
        due
    }

    fn block(&mut self, index: u64) -> Result<&mut Block, Malformed> {
        if self.blocks.len() >= BLOCKS_MAX && !self.blocks.contains_key(&index) {
            return Err(Malformed::TooBig);
        }
        Ok(self.blocks.entry(index).or_default())
    }
}

impl Block {
    fn holds_others(&self) -> bool {
        self.is_text == Some(true) && !self.is_closed
    }
}

/// The text of these bytes after the half that was left before, and the half that they leave.
/// Halves that never meet become U+FFFD.
fn joined(half: &mut Vec<u8>, more: Vec<u8>) -> String {
    if half.is_empty() {
        match String::from_utf8(more) {
            Ok(text) => return text,
            Err(error) => *half = error.into_bytes(),
        }
    } else {
        half.extend_from_slice(&more);
    }
    let wide = std::mem::take(half);
    let (mut text, mut rest) = (String::with_capacity(wide.len()), wide.as_slice());
    loop {
        let valid = match str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                return text;
            }
            Err(error) => error.valid_up_to(),
        };
        let (good, odd) = rest.split_at(valid);
        text.push_str(str::from_utf8(good).unwrap_or_default());
        match odd {
            [0xed, one @ 0xa0..=0xaf, two, 0xed, three @ 0xb0..=0xbf, four, after @ ..] => {
                text.push(pair([*one, *two], [*three, *four]));
                rest = after;
            }
            [0xed, 0xa0..=0xaf, _] => {
                *half = odd.to_vec();
                return text;
            }
            // A half alone; WTF-8 holds nothing else that is invalid.
            [0xed, 0xa0..=0xbf, _, after @ ..] | [_, after @ ..] => {
                text.push_str(LOST);
                rest = after;
            }
            [] => return text,
        }
    }
}

/// The character of two halves, each of which is coded in the last two of three bytes.
fn pair(high: [u8; 2], low: [u8; 2]) -> char {
    let ten_bits = |[one, two]: [u8; 2]| (u32::from(one & 0x0f) << 6) | u32::from(two & 0x3f);
    char::from_u32(0x10000 + (ten_bits(high) << 10) + ten_bits(low)).unwrap_or('\u{fffd}')
}
