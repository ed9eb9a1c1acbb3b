//! Upstream's own words, made fit to be shown to the user whose call they are about: short, on one
//! line, and without anything that looks like a secret, since they may echo the request.

/// Most characters that are kept.
const KEPT_MAX: usize = 300;

/// Most characters that are looked at.
const READ_MAX: usize = 4096;

/// From this length on, letters and digits without a gap are taken for a secret. Upstream's ids have
/// 28 characters, models' names less.
const SECRET_LEN: usize = 32;

const REMOVED: &str = "[removed]";

/// The words, shortened and with secrets removed; empty if nothing is left.
pub(super) fn clean(text: &str) -> String {
    let line: String = text
        .chars()
        .take(READ_MAX)
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut kept = String::new();
    let mut is_secret_next = false;
    for word in line.split_whitespace() {
        let shown = if std::mem::take(&mut is_secret_next) && !is_label(word) {
            REMOVED.to_owned()
        } else {
            is_secret_next = announces_secret(word);
            shown(word)
        };
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(&shown);
    }
    if kept.chars().count() <= KEPT_MAX {
        return kept;
    }
    let mut short: String = kept.chars().take(KEPT_MAX - 1).collect();
    short.push('…');
    short
}

/// Characters that have no shape, or that turn the direction of the text around them.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A word, without what looks like a secret in it.
fn shown(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if lower.contains("sk-ant") || lower.starts_with("sk-") || lower.starts_with("eyj") {
        return REMOVED.to_owned();
    }
    if let Some((address, _)) = word.split_once('?')
        && lower.contains("://")
    {
        return format!("{address}?{REMOVED}");
    }
    if lower.starts_with("http://") || lower.starts_with("https://") {
        // A user and a password stand before an @.
        return if word.contains('@') { REMOVED.to_owned() } else { word.to_owned() };
    }
    if let Some(at) = word.find(['=', ':'])
        && announces_secret(word.split_at(at + 1).0)
        && word.len() > at + 1
    {
        return format!("{}{REMOVED}", word.split_at(at + 1).0);
    }
    let is_of_secrets = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/');
    let is_secret = word.split(|c| !is_of_secrets(c)).any(|run| {
        run.len() >= SECRET_LEN
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    });
    if is_secret { REMOVED.to_owned() } else { word.to_owned() }
}

/// Whether the next word is a secret: after `Bearer`, `x-api-key:` or `password=`.
fn announces_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let lower = lower.trim_start_matches(['"', '\'', '(']);
    if matches!(lower, "bearer" | "basic") {
        return true;
    }
    let Some(name) = lower.strip_suffix([':', '=']) else { return false };
    let name = name.trim_end_matches(['"', '\'']);
    ["api-key", "api_key", "apikey", "token", "secret", "password", "authorization", "cookie"]
        .iter()
        .any(|label| name.ends_with(label))
}

/// `authorization: Bearer …`: the secret comes after the second word.
fn is_label(word: &str) -> bool {
    announces_secret(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_kept_and_secrets_are_not() {
        let key = format!("sk-ant-api03-{}AA", "x".repeat(93));
        let long = "aB3".repeat(20);
        for (said, kept) in [
            (
                "prompt is too long: 215034 tokens > 200000 maximum".to_owned(),
                "prompt is too long: 215034 tokens > 200000 maximum".to_owned(),
            ),
            ("max_tokens: 16384 > 8192".to_owned(), "max_tokens: 16384 > 8192".to_owned()),
            ("invalid\r\n\tx-api-key".to_owned(), "invalid x-api-key".to_owned()),
            (format!("bad key \"{key}\" given"), format!("bad key {REMOVED} given")),
            (format!("KEY={}", key.to_uppercase()), REMOVED.to_owned()),
            (format!("got {long}."), format!("got {REMOVED}")),
            (
                "authorization: Bearer abc.def.ghi here".to_owned(),
                format!("authorization: Bearer {REMOVED} here"),
            ),
            ("x-api-key: hunter2, and".to_owned(), format!("x-api-key: {REMOVED} and")),
            ("password=hunter2".to_owned(), format!("password={REMOVED}")),
            (
                "see https://docs.anthropic.com/en/api/rate-limits-for-models-2024 for it"
                    .to_owned(),
                "see https://docs.anthropic.com/en/api/rate-limits-for-models-2024 for it"
                    .to_owned(),
            ),
            ("https://h/p?k=v".to_owned(), format!("https://h/p?{REMOVED}")),
            ("https://u:p@h/".to_owned(), REMOVED.to_owned()),
            ("eyJhbGciOiJub25lIn0.e30.".to_owned(), REMOVED.to_owned()),
            (
                "model: claude-haiku-4-5-20251001 req_011CSHoEeqs5C35K2UUqR7Fy".to_owned(),
                "model: claude-haiku-4-5-20251001 req_011CSHoEeqs5C35K2UUqR7Fy".to_owned(),
            ),
            ("a\u{202e}b\u{200b}c\u{7}d".to_owned(), "abc d".to_owned()),
            ("Prompt zu lang: größer 🦀".to_owned(), "Prompt zu lang: größer 🦀".to_owned()),
            (" \n ".to_owned(), String::new()),
        ] {
            assert_eq!(clean(&said), kept, "{said}");
        }
        let cut = clean(&"wörd ".repeat(10_000));
        assert_eq!((cut.chars().count(), cut.ends_with('…')), (KEPT_MAX, true));
    }
}
