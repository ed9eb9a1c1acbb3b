//! Sizes and names.

use super::tree::{rust_files, without_tests};

/// Most lines of a file, unit tests not counted.
const MAX_LINES: usize = 500;

/// The `mod.rs` files with functions, each with its reason: elsewhere a `mod.rs` only names its
/// parts.
const WITH_FUNCTIONS: [(&str, &str); 5] = [
    ("projections/suite/src/cases/mod.rs", "the list of cases"),
    ("src/bus/mod.rs", "the bus itself and the parts of it that every command uses"),
    ("src/cli/mod.rs", "from arguments to commands"),
    ("src/http/graphql/graphiql/mod.rs", "the room's one router"),
    ("src/reads/mod.rs", "the functions that several reads use"),
];

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let long: Vec<_> = rust_files("")
        .into_iter()
        .map(|(path, text)| (path, without_tests(&text).lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_module_is_named_after_nothing() {
    let nameless: Vec<_> = rust_files("")
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let named = |part: &str| {
                matches!(
                    part.trim_end_matches(".rs"),
                    "util" | "utils" | "common" | "helper" | "helpers" | "misc"
                )
            };
            path.split('/').any(named)
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}

#[test]
fn a_mod_file_names_its_parts_and_does_nothing() {
    let is_function = |line: &str| {
        let line = line.trim_start();
        ["fn ", "async fn ", "const fn "].iter().any(|start| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let line = if line.starts_with("pub(") {
                line.split_once(") ").map_or(line, |(_, rest)| rest)
            } else {
                line
            };
            line.starts_with(start)
        })
    };
    let found: Vec<String> = rust_files("")
        .into_iter()
        .filter(|(path, _)| path.ends_with("/mod.rs") && !path.contains("tests/"))
        .filter(|(_, text)| without_tests(text).lines().any(is_function))
        .map(|(path, _)| path)
        .collect();
    let known: Vec<_> = WITH_FUNCTIONS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, known, "the list in this test and the tree differ");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file isn't found itself.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["#[ign", "ore"].concat(),
        ["todo", "!("].concat(),
    ];
    let unmerged = ["<<<<<<< ", ">>>>>>> "];
    for (path, text) in rust_files("") {
        for (number, line) in (1..).zip(text.lines()) {
            assert!(!unmerged.iter().any(|mark| line.starts_with(mark)), "{path}:{number}: {line}");
            assert!(
                !marks.iter().any(|mark| line.contains(mark.as_str())),
                "{path}:{number}: {line}"
            );
        }
    }
}
