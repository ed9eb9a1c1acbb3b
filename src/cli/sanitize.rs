//! Sanitizes untrusted text for a terminal, and measures its width.

use std::fmt::Write as _;

/// Replaces everything a terminal would interpret: control characters (except line breaks and tabs)
/// become their pictures, C1 controls and bidirectional marks become a replacement character. A CR
/// LF becomes one line break.
pub(super) fn sanitize(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\r' && letters.peek() == Some(&'\n') {
            continue;
        }
        shown.push(match letter {
            '\n' | '\t' => letter,
            '\u{2028}' | '\u{2029}' | '\u{85}' => '\n',
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{61c}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            _ => letter,
        });
    }
    shown
}

/// The same on one line: each run of white space becomes one space.
pub(super) fn one_line(text: &str) -> String {
    sanitize(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Escapes, in the strings of a JSON text, everything a terminal would interpret and JSON itself
/// allows. The value stays the same.
pub(super) fn harmless_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '\u{7f}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{61c}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                // Writing into a text can't fail.
                let _ = write!(shown, "\\u{:04x}", u32::from(letter));
            }
            _ => shown.push(letter),
        }
    }
    shown
}

/// Zero-width characters.
const NARROW: [(u32, u32); 9] = [
    (0x300, 0x36f),
    (0x483, 0x489),
    (0x591, 0x5bd),
    (0x610, 0x61a),
    (0x64b, 0x65f),
    (0x200b, 0x200d),
    (0x20d0, 0x20f0),
    (0xfe00, 0xfe0f),
    (0xe0100, 0xe01ef),
];

/// Double-width characters.
const WIDE: [(u32, u32); 14] = [
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x23e9, 0x23ec),
    (0x25fd, 0x25fe),
    (0x2614, 0x2615),
    (0x2705, 0x2705),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0x1f300, 0x1faff),
    (0x20000, 0x3fffd),
];

/// The columns a character takes on a terminal, approximately. Where this errs, lines are cut a
/// little early or late, and the terminal is set not to wrap them.
pub(super) fn width(letter: char) -> usize {
    let code = u32::from(letter);
    let within =
        |ranges: &[(u32, u32)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&code));
    match code {
        0x20..=0x2ff => 1,
        _ if within(&NARROW) => 0,
        _ if within(&WIDE) => 2,
        _ => 1,
    }
}

/// The columns a one-line text takes.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The start of a one-line text that fits into `places` columns, with an ellipsis if something is
/// left out.
pub(super) fn clipped(text: &str, places: usize) -> String {
    if width_of(text) <= places {
        return text.to_owned();
    }
    let mut left = places.saturating_sub(1);
    let fits = |letter: &char| {
        let room = left.checked_sub(width(*letter));
        left = room.unwrap_or(0);
        room.is_some()
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    if places > 0 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_would_interpret_is_left() {
        for (text, expected) in [
            ("plain\ttext\nof two lines", "plain\ttext\nof two lines"),
            ("a\r\nb\rc", "a\nb␍c"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "␛[2J␛]0;title␇"),
            ("\u{9b}31m\u{7f}\0", "\u{fffd}31m␡␀"),
            ("abc\u{202e}txt.exe", "abc\u{fffd}txt.exe"),
            ("ein Käse 漢字 🦀", "ein Käse 漢字 🦀"),
        ] {
            assert_eq!(sanitize(text), expected, "{text:?}");
        }
        let every: String = (0..=0x9f).filter_map(char::from_u32).collect();
        assert!(
            sanitize(&every)
                .chars()
                .all(|letter| !letter.is_control() || letter == '\n' || letter == '\t')
        );
        assert_eq!(one_line(" a\n\tb\u{1b}  c "), "a b␛ c");
    }

    #[test]
    fn sanitized_json_has_the_same_value() {
        let text: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let json = serde_json::to_string(&text).unwrap();
        let shown = harmless_json(&json);
        assert!(!shown.chars().any(char::is_control));
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn text_is_clipped_by_the_columns_it_takes() {
        for (text, places, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("漢字漢", 6, "漢字漢"),
            ("漢字漢", 5, "漢字…"),
            ("漢字漢", 4, "漢…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("abc", 0, ""),
        ] {
            assert_eq!(clipped(text, places), expected, "{text}, {places}");
        }
    }
}
