//! Parsers of texts: no input panics, and a text that a parser accepts is accepted again,
//! unchanged.

use super::settings;
use claviger_domain::api_key::{ApiKeySecret, PREFIX, contains_secret};
use claviger_domain::id::{CommandId, ContextTag, Fingerprint, read_hex, write_hex};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{
    Context, Email, FullName, IdempotencyKey, KeyName, ModelId, Password, Username,
};
use claviger_domain::timestamp::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

/// Any characters, with those that have caused trouble far more often than by chance.
fn text() -> impl Strategy<Value = String> {
    let nasty = select(" \t\n\0@.-_aAzZ09kK\u{212a}\u{130}\u{df}\u{3a3}\u{ad}\u{61c}\u{200b}\u{200d}\u{202e}\u{3164}\u{fe0f}\u{feff}\u{ff20}\u{e0041}é日".chars().collect::<Vec<_>>());
    let chunk = prop_oneof![
        6 => nasty.prop_map(String::from),
        3 => any::<char>().prop_map(String::from),
        1 => select(vec!["sk-ant-", "SK-ANT-", "s\u{212a}-ant-", "api03-", "name@example.org", "account/", "run/"]).prop_map(str::to_owned),
    ];
    prop_oneof![
        9 => proptest::collection::vec(chunk.clone(), 0..12).prop_map(|chunks| chunks.concat()),
        1 => proptest::collection::vec(chunk, 0..300).prop_map(|chunks| chunks.concat()),
    ]
}

/// What looks like an address more often than not.
fn address() -> impl Strategy<Value = String> {
    ("[a-zA-Z0-9._+K\u{212a}\u{130}-]{0,70}", "[a-zA-Z0-9\u{130}-]{0,8}", "[a-zA-Z.-]{0,250}")
        .prop_map(|(name, host, tld)| format!("{name}@{host}.{tld}"))
}

/// A secret of `PREFIX`, a kind and a body.
fn secret() -> impl Strategy<Value = String> {
    ("[A-Za-z0-9_-]{0,12}", "-?", "[A-Za-z0-9_-]{0,110}")
        .prop_map(|(kind, dash, body)| format!("{PREFIX}{kind}{dash}{body}"))
}

fn parse_key(text: &str) -> Option<ApiKeySecret> {
    ApiKeySecret::parse(&SecretText::new(text.to_owned())).ok()
}

/// Everything a parser of people's words promises about what it let through.
fn check_plain(kept: &str, given: &str, max: usize) {
    assert!(!kept.is_empty() && kept.chars().count() <= max);
    assert_eq!(kept, kept.trim());
    assert!(!kept.chars().any(char::is_control));
    assert!(!contains_secret(kept));
    assert!(given.trim() == kept || given.to_lowercase().trim() == kept);
}

macro_rules! check_text {
    ($text:expr, $max:expr, $type:ident) => {
        if let Ok(value) = $type::parse($text) {
            check_plain(value.as_str(), $text, $max);
            assert_eq!($type::parse(value.as_str()), Ok(value));
        }
    };
}

/// Bytes of a preview that aren't in the fixed prefix.
fn shown(preview: &str) -> usize {
    preview.len() - PREFIX.len() - "...".len()
}

proptest! {
    #![proptest_config(settings(2000))]

    #[test]
    fn what_a_text_parser_lets_through_it_lets_through_again(text in text()) {
        check_text!(&text, 100, KeyName);
        check_text!(&text, 100, Context);
        check_text!(&text, 200, FullName);
        check_text!(&text, 200, IdempotencyKey);
        check_text!(&text, 50, Username);
        check_text!(&text, 254, Email);
        if let Some(model) = ModelId::parse(&text) {
            prop_assert_eq!(model.as_str(), &text);
        }
        if let Ok(password) = Password::parse(SecretText::new(text.clone())) {
            prop_assert_eq!(password.expose(), &text);
        }
    }

    #[test]
    fn address_let_through_is_let_through_again(text in address()) {
        check_text!(&text, 254, Email);
    }

    #[test]
    fn stream_name_is_read_only_as_it_is_written(text in text()) {
        if let Some(name) = StreamName::parse(&text) {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn key_let_through_is_plain_trimmed_and_let_through_again(text in prop_oneof![text(), secret()]) {
        if let Some(key) = parse_key(&text) {
            prop_assert_eq!(key.expose(), text.trim());
            prop_assert!(key.expose().starts_with(PREFIX));
            prop_assert!(key.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
            let again = parse_key(key.expose());
            prop_assert_eq!(again.as_ref().map(ApiKeySecret::expose), Some(key.expose()));
        }
    }

    #[test]
    fn preview_shows_the_kind_three_characters_and_the_last_four_at_most(text in secret()) {
        let Some(key) = parse_key(&text) else { return Ok(()) };
        let (secret, preview) = (key.expose(), key.preview());
        if preview == "sk-ant-..." {
            return Ok(());
        }
        prop_assert!(secret.len() >= 40, "{preview} of {} characters", secret.len());
        let (head, tail) = preview.split_once("...").unwrap();
        prop_assert!(secret.starts_with(head) && secret.ends_with(tail));
        let (kind, rest) = head.strip_prefix(PREFIX).unwrap().split_once('-').unwrap();
        prop_assert!(!kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "kind {kind}");
        prop_assert_eq!((rest.len(), tail.len()), (3, 4));
        prop_assert!(shown(&preview) <= 17 && secret.len() - head.len() - tail.len() >= 16);
    }

    #[test]
    fn preview_of_a_short_secret_shows_the_prefix_only(text in secret().prop_filter("short", |text| text.len() < 40)) {
        if let Some(key) = parse_key(&text) {
            prop_assert_eq!(key.preview(), "sk-ant-...");
        }
    }

    #[test]
    fn time_written_is_read_back(ms in 0..=Timestamp::MAX.0) {
        let at = Timestamp(ms);
        prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        prop_assert_eq!(at.to_string().len(), 24);
    }

    #[test]
    fn times_written_sort_as_they_are(a in 0..=Timestamp::MAX.0, b in 0..=Timestamp::MAX.0) {
        prop_assert_eq!(Timestamp(a).cmp(&Timestamp(b)), Timestamp(a).to_string().cmp(&Timestamp(b).to_string()));
    }

    #[test]
    fn any_text_is_a_time_within_bounds_or_none(text in prop_oneof![text(), "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-5][0-9])"]) {
        if let Some(at) = Timestamp::parse(&text) {
            prop_assert!(at <= Timestamp::MAX);
            prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        }
    }

    #[test]
    fn any_number_is_shown_as_a_time(ms in any::<u64>(), plus in any::<u64>()) {
        let shown = Timestamp(ms).to_string();
        prop_assert_eq!(Timestamp::parse(&shown), Some(Timestamp(ms).min(Timestamp::MAX)));
        prop_assert!(Timestamp(ms).plus_ms(plus) <= Timestamp::MAX);
    }

    #[test]
    fn hex_written_is_read_back_in_either_case(bytes in any::<[u8; 16]>()) {
        let mut text = String::new();
        write_hex(&mut text, &bytes).unwrap();
        prop_assert_eq!(&text, &CommandId(bytes).to_string());
        prop_assert_eq!(read_hex(&text), Some(bytes));
        prop_assert_eq!(read_hex(&text.to_uppercase()), Some(bytes));
        let json = serde_json::to_string(&ContextTag(bytes)).unwrap();
        prop_assert_eq!(serde_json::from_str::<ContextTag>(&json).unwrap(), ContextTag(bytes));
    }

    #[test]
    fn text_read_as_hex_has_nothing_but_hex_digits(text in "[0-9a-fA-F+ \\-xäg]{4}") {
        let digits = text.chars().all(|c| c.is_ascii_hexdigit());
        prop_assert_eq!(read_hex::<2>(&text).is_some(), digits);
        if let Some(bytes) = read_hex::<2>(&text) {
            let mut again = String::new();
            write_hex(&mut again, &bytes).unwrap();
            prop_assert_eq!(again, text.to_lowercase());
        }
    }

    #[test]
    fn fingerprint_survives_json(bytes in any::<[u8; 32]>()) {
        let json = serde_json::to_string(&Fingerprint(bytes)).unwrap();
        prop_assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), Fingerprint(bytes));
    }
}
