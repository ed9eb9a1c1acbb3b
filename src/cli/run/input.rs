//! Builds the API's `StartOrchestrationInput` from files and flags.

use super::args::StartArgs;
use super::pattern::from_flags;
use crate::cli::CliError;
use claviger_domain::code::ErrorCode;
use claviger_domain::text::without_mark;
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::path::Path;

/// Most bytes of a file or of standard input; the server's limit is lower.
const TEXT_MAX: u64 = 32 * 1024 * 1024;

/// The patterns, as `PatternInput` names them.
const PATTERNS: [&str; 6] =
    ["sequential", "debate", "hierarchical", "parallel", "routing", "design"];

fn wrong(message: impl Into<String>) -> CliError {
    CliError::new(ErrorCode::Validation, message)
}

/// The input, without a key and an idempotency key.
pub(super) fn input(args: &StartArgs, model: Option<&str>) -> Result<Map<String, Value>, CliError> {
    // Standard input then holds only the password.
    let is_taken = args.server.password_stdin;
    let mut read = |text: &str| text_of(text, is_taken);
    let mut input = match &args.what.file {
        None => Map::from_iter([("pattern".to_owned(), from_flags(&args.what, &mut read)?)]),
        Some(path) if path.as_os_str() == "-" => from_text(&stdin(is_taken)?, None)?,
        Some(path) => from_text(&file(path)?, path.extension().and_then(|end| end.to_str()))?,
    };
    let flags = [
        ("title", args.title.clone().map(Value::String)),
        ("model", model.map(|model| json!(model))),
        ("context", args.context.clone().map(Value::String)),
        ("maxConcurrency", args.max_concurrency.map(|most| json!(most))),
        ("idempotencyKey", args.idempotency_key.clone().map(Value::String)),
    ];
    input.extend(flags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(input)
}

/// Parses `PatternInput` or `StartOrchestrationInput`, in JSON or TOML.
fn from_text(text: &str, ending: Option<&str>) -> Result<Map<String, Value>, CliError> {
    let from_toml = || {
        toml::from_str::<Value>(text)
            .map_err(|error| wrong(format!("the file is not valid TOML: {}", error.message())))
    };
    let from_json = || {
        serde_json::from_str::<Value>(text)
            .map_err(|error| wrong(format!("the file is not valid JSON: {error}")))
    };
    let value = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => from_toml()?,
        Some("json") => from_json()?,
        _ if text.trim_start().starts_with('{') => from_json()?,
        _ => from_toml()?,
    };
    let Value::Object(mut found) = value else { return Err(no_pattern()) };
    if !found.contains_key("pattern") {
        found = Map::from_iter([("pattern".to_owned(), Value::Object(found))]);
    }
    let pattern = found.get("pattern").and_then(Value::as_object).ok_or_else(no_pattern)?;
    let mut names = pattern.keys();
    match (names.next(), names.next()) {
        (Some(name), None) if PATTERNS.contains(&name.as_str()) => Ok(found),
        (Some(name), None) => Err(wrong(format!(
            "there is no pattern {name:?}: it must be one of {}",
            PATTERNS.join(", ")
        ))),
        (None, _) | (Some(_), Some(_)) => Err(no_pattern()),
    }
}

fn no_pattern() -> CliError {
    wrong(format!(
        "the file must hold one pattern under its name ({}), or a complete StartOrchestrationInput",
        PATTERNS.join(", ")
    ))
}

/// The text itself, the file named after `@`, or standard input for `-`.
fn text_of(text: &str, stdin_is_taken: bool) -> Result<String, CliError> {
    match text.strip_prefix('@') {
        Some(path) => file(Path::new(path)),
        None if text == "-" => stdin(stdin_is_taken),
        None => Ok(text.to_owned()),
    }
}

fn file(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map(|text| without_mark(&text).to_owned())
        .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))
}

fn stdin(is_taken: bool) -> Result<String, CliError> {
    if is_taken {
        return Err(wrong(
            "standard input already holds the password: give a file instead, or a token in \
             CLAVIGER_TOKEN",
        ));
    }
    let mut text = String::new();
    let unreadable = |error| wrong(format!("cannot read standard input: {error}"));
    std::io::stdin().lock().take(TEXT_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(without_mark(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_pattern_alone_or_a_complete_input() {
        let pattern = json!({ "debate": { "topic": "Tea?", "rounds": 2, "agents": [{ "name": "Ann", "systemPrompt": "p" }] } });
        let toml = "[debate]\ntopic = \"Tea?\"\nrounds = 2\n[[debate.agents]]\nname = \"Ann\"\nsystemPrompt = \"p\"\n";
        let alone = Map::from_iter([("pattern".to_owned(), pattern.clone())]);
        assert_eq!(from_text(&pattern.to_string(), Some("json")).unwrap(), alone);
        assert_eq!(from_text(&pattern.to_string(), None).unwrap(), alone);
        assert_eq!(from_text(toml, Some("TOML")).unwrap(), alone);
        assert_eq!(from_text(toml, None).unwrap(), alone);
        let whole = json!({ "title": "t", "pattern": pattern });
        assert_eq!(Value::Object(from_text(&whole.to_string(), None).unwrap()), whole);
    }

    #[test]
    fn a_file_without_exactly_one_pattern_is_refused_with_their_names() {
        for (text, words) in [
            ("{}", "one pattern under its name (sequential"),
            ("{\"debate\": {}, \"design\": {}}", "one pattern"),
            ("{\"pattern\": 7}", "one pattern"),
            ("{\"quarrel\": {}}", "no pattern \"quarrel\""),
            ("{", "not valid JSON"),
            ("= 3", "not valid TOML"),
        ] {
            let error = from_text(text, None).unwrap_err();
            assert!(
                error.message.contains(words) && error.code == ErrorCode::Validation,
                "{text}: {}",
                error.message
            );
        }
    }

    #[test]
    fn text_comes_from_where_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task");
        std::fs::write(&path, "from a file").unwrap();
        assert_eq!(text_of(&format!("@{}", path.display()), true).unwrap(), "from a file");
        assert_eq!(text_of("a text", true).unwrap(), "a text");
        assert!(text_of("-", true).unwrap_err().message.contains("password"));
        assert!(text_of("@/nowhere", false).unwrap_err().message.contains("cannot read /nowhere"));
    }
}
