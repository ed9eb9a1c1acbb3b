//! How much memory the values of a JSON text take, before it is parsed: `[1,1,1]` has two bytes for
//! each value, and a value in memory has about a hundred.

/// About how many bytes a value takes, with its place in a list or an object, while the parser's
/// form and the library's form of it exist together.
const VALUE: usize = 128;

/// Most values of a text. Inputs have bounds of their own, which are far below
/// (`graphql/src/limits/inputs.rs`); this one is for what no argument takes.
const MOST: usize = 100_000;

/// A text has more values than any request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has more than {MOST} JSON values: send fewer")]
pub struct TooMany;

/// At most how many bytes the values take besides their texts. The text needn't be JSON.
///
/// # Errors
/// [`TooMany`].
pub fn of_values(text: &[u8]) -> Result<usize, TooMany> {
    let (mut values, mut in_string, mut is_escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            // One for what stands before it; a list or an object is a value too.
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    if values > MOST { Err(TooMany) } else { Ok(values * VALUE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_what_stands_in_texts_is_not() {
        for (text, values) in [
            ("1", 1),
            ("[1,1,1]", 4),
            (r#"{"a":[1,{"b":2}]}"#, 5),
            (r#"{"a":"[1,1,1],{{{"}"#, 2),
            (r#"["a\"[,[,","b\\",1]"#, 4),
            ("", 1),
        ] {
            assert_eq!(of_values(text.as_bytes()), Ok(values * VALUE), "{text}");
        }
        let many = |count: usize| format!("[{}1]", "1,".repeat(count));
        assert_eq!(of_values(many(MOST - 2).as_bytes()), Ok(MOST * VALUE));
        assert_eq!(of_values(many(MOST).as_bytes()), Err(TooMany));
    }
}
