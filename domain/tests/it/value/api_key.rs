//! None of the secrets here was ever one.

use claviger_domain::api_key::{ApiKeySecret, ApiKeyShapeError, MAX_LEN, contains_secret};
use claviger_domain::secret::SecretText;

/// The shape of today's keys: 108 characters that end in AA.
fn typical() -> String {
    format!("sk-ant-api03-R2D{}igAA", "x".repeat(108 - 20))
}

fn parse(text: &str) -> Result<ApiKeySecret, ApiKeyShapeError> {
    ApiKeySecret::parse(&SecretText::new(text.to_owned()))
}

fn refusal(text: &str) -> Option<ApiKeyShapeError> {
    parse(text).err()
}

fn preview(text: &str) -> String {
    parse(text).map(|key| key.preview()).unwrap()
}

#[test]
fn key_of_todays_shape_is_taken_as_it_is() {
    assert_eq!(typical().len(), 108);
    assert_eq!(parse(&typical()).unwrap().expose(), typical());
}

#[test]
fn key_of_another_kind_or_length_is_taken_too() {
    for text in ["sk-ant-api04-abc", "sk-ant-x", "sk-ant-test-key_1"] {
        assert_eq!(parse(text).unwrap().expose(), text);
    }
}

#[test]
fn blanks_and_line_breaks_around_a_key_are_trimmed() {
    assert_eq!(parse(&format!(" \t\r\n{}\n\u{a0}", typical())).unwrap().expose(), typical());
}

#[test]
fn wrong_kinds_are_named() {
    let table = [
        ("", ApiKeyShapeError::Empty),
        (" \n\t", ApiKeyShapeError::Empty),
        ("hunter2", ApiKeyShapeError::NotAnthropic),
        ("sk-proj-abcdef", ApiKeyShapeError::NotAnthropic),
        ("SK-ANT-API03-abc", ApiKeyShapeError::NotAnthropic),
        ("Bearer sk-ant-api03-abc", ApiKeyShapeError::NotAnthropic),
        ("\"sk-ant-api03-abc\"", ApiKeyShapeError::NotAnthropic),
        ("sk-ant-", ApiKeyShapeError::NotAnthropic),
        ("sk-ant", ApiKeyShapeError::NotAnthropic),
        ("sk-ant-admin01-abc", ApiKeyShapeError::Admin),
        (" sk-ant-admin01-abc ", ApiKeyShapeError::Admin),
        ("sk-ant-oat01-abc", ApiKeyShapeError::OAuth),
        ("sk-ant-sid01-abc", ApiKeyShapeError::Session),
    ];
    for (text, error) in table {
        assert_eq!(refusal(text), Some(error), "{text:?}");
    }
}

#[test]
fn kind_is_named_even_when_the_rest_is_broken() {
    assert_eq!(refusal("sk-ant-admin01-abc def"), Some(ApiKeyShapeError::Admin));
    assert_eq!(refusal("sk-ant-oat01-äöü"), Some(ApiKeyShapeError::OAuth));
}

#[test]
fn characters_that_no_key_has_are_refused() {
    for inner in [
        " ", "\n", "\r\n", "\t", "\0", "\u{7f}", "\u{200b}", "\u{a0}", "ä", "ａ", "🔑", ".", "+",
        "/", "=", "\"", "%",
    ] {
        let text = format!("sk-ant-api03-abc{inner}def");
        assert_eq!(refusal(&text), Some(ApiKeyShapeError::Characters), "{inner:?}");
    }
    assert_eq!(refusal("sk-ant-api03-abc\u{200b}"), Some(ApiKeyShapeError::Characters));
}

#[test]
fn two_keys_pasted_together_are_refused() {
    assert_eq!(
        refusal(&format!("{}\n{}", typical(), typical())),
        Some(ApiKeyShapeError::Characters)
    );
}

#[test]
fn longest_key_is_taken_and_a_longer_one_refused() {
    let longest = format!("sk-ant-{}", "x".repeat(MAX_LEN - 7));
    assert!(parse(&longest).is_ok());
    assert!(parse(&format!("  {longest}  ")).is_ok());
    assert_eq!(refusal(&format!("{longest}x")), Some(ApiKeyShapeError::TooLong));
}

#[test]
fn refusals_hold_nothing_of_the_text() {
    for text in ["hunter2-hunter2", "sk-ant-admin01-hunter2", "sk-ant-api03-hunter2 x"] {
        let error = refusal(text).unwrap();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn preview_is_the_hint_of_the_anthropic_console() {
    assert_eq!(preview(&typical()), "sk-ant-api03-R2D...igAA");
}

#[test]
fn preview_shows_ends_from_forty_characters_on() {
    let of_len = |len: usize| format!("sk-ant-api03-R2D{}igAA", "x".repeat(len - 20));
    assert_eq!(preview(&of_len(39)), "sk-ant-...");
    assert_eq!(preview(&of_len(40)), "sk-ant-api03-R2D...igAA");
}

#[test]
fn preview_shows_the_prefix_only_where_no_kind_can_be_told() {
    let body = "Zq8".repeat(30);
    let table = [
        format!("sk-ant-{body}"),
        format!("sk-ant--{body}"),
        format!("sk-ant-abcdefghijk-{body}"),
        format!("sk-ant-Zq8xW_R-{body}"),
        format!("sk-ant-api_03-{body}"),
    ];
    for text in table {
        assert_eq!(preview(&text), "sk-ant-...", "{text}");
    }
}

#[test]
fn pasted_key_is_seen_in_any_case_and_anywhere() {
    for text in ["sk-ant-", "my sk-ant-api03-x", "SK-ANT-api03", "sK-aNt-", "xsk-ant-x"] {
        assert!(contains_secret(text), "{text}");
    }
    for text in ["", "sk-ant", "sk ant-", "sk-an-t-", "task-anthology"] {
        assert!(!contains_secret(text), "{text}");
    }
}

/// Nothing is normalised here: this guards against a key pasted by mistake, and pasting doesn't
/// change letters.
#[test]
fn look_alikes_of_the_prefix_are_not_taken_for_a_secret() {
    for text in ["ｓｋ－ａｎｔ－", "sk\u{2010}ant\u{2010}", "s\u{212a}-ant-", "sk-\u{0430}nt-"]
    {
        assert!(!contains_secret(text), "{text}");
    }
}
