//! One pass over the bytes before the parser: counts tokens and open brackets.
//!
//! The parser is recursive and has no bound of its own on values, so five thousand opening brackets
//! would overflow the stack and end the process. This pass must therefore never count fewer
//! brackets than the parser meets. It may count more.

use super::bounds::{LimitError, Limits, within};
use std::iter::Peekable;
use std::str::Bytes;

pub(super) fn check(query: &str, limits: &Limits) -> Result<(), LimitError> {
    let mut bytes = query.bytes().peekable();
    let (mut tokens, mut open) = (0_usize, 0_usize);
    while let Some(byte) = bytes.next() {
        match byte {
            // GraphQL treats the three bytes of the byte order mark as white space.
            b' ' | b'\t' | b'\n' | b'\r' | b',' | 0xEF | 0xBB | 0xBF => continue,
            b'#' => {
                while bytes.next_if(|next| !matches!(next, b'\n' | b'\r')).is_some() {}
                continue;
            }
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            b'"' => string(&mut bytes)?,
            b'.' => while bytes.next_if_eq(&b'.').is_some() {},
            b'0'..=b'9' | b'-' => while bytes.next_if(|next| is_number(*next)).is_some() {},
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let mut length = 1;
                while bytes.next_if(|next| is_name(*next)).is_some() {
                    length += 1;
                }
                within("bytes of a name", length, limits.name_bytes)?;
            }
            _ => {}
        }
        tokens += 1;
        within("tokens", tokens, limits.tokens)?;
        within("nested brackets", open, limits.nesting)?;
    }
    Ok(())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_')
}

/// Reads the rest of a string after its opening quote. An unterminated string is refused here: the
/// parser would go back, read `"""` as an empty string and the start of another, and then meet
/// brackets that this pass took for text.
fn string(bytes: &mut Peekable<Bytes<'_>>) -> Result<(), LimitError> {
    if bytes.next_if_eq(&b'"').is_some() {
        // Two quotes are the empty string, three open a block string.
        return if bytes.next_if_eq(&b'"').is_some() { block_string(bytes) } else { Ok(()) };
    }
    loop {
        match bytes.next() {
            Some(b'"') => return Ok(()),
            Some(b'\\') => {
                bytes.next();
            }
            Some(b'\n' | b'\r') | None => return Err(LimitError::unterminated_string()),
            Some(_) => {}
        }
    }
}

fn block_string(bytes: &mut Peekable<Bytes<'_>>) -> Result<(), LimitError> {
    let (mut quotes, mut escaped) = (0, false);
    loop {
        match bytes.next() {
            // `\"""` stands for three quotes of text.
            Some(b'"') if escaped => {
                if bytes.next_if_eq(&b'"').is_some() {
                    bytes.next_if_eq(&b'"');
                }
                (quotes, escaped) = (0, false);
            }
            Some(b'"') => {
                quotes += 1;
                if quotes == 3 {
                    return Ok(());
                }
            }
            Some(byte) => (quotes, escaped) = (0, byte == b'\\'),
            None => return Err(LimitError::unterminated_string()),
        }
    }
}
