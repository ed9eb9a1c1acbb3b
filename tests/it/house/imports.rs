//! The paths that a source file names, read from its text: a pure function, so that broken examples
//! can be put to the test beside the tree itself.

use std::collections::BTreeSet;

/// The crates inside the tree whose modules have arrows, by the folder of their sources. The first
/// that matches decides. `crate` is the package itself.
const CRATES: [(&str, &str); 8] = [
    ("src/store/src/", "claviger_store"),
    ("src/application/src/", "claviger_application"),
    ("src/", "crate"),
    ("domain/proof/src/", "claviger_proof"),
    ("domain/vault/src/", "claviger_vault"),
    ("domain/src/", "claviger_domain"),
    ("projections/src/", "claviger_projections"),
    ("graphql/src/", "claviger_graphql"),
];

/// The module of a file: its crate, then its folders. `mod.rs` and `lib.rs` are their folder.
pub(super) fn module_of(path: &str) -> Vec<String> {
    let (folder, name) = CRATES
        .iter()
        .find(|(folder, _)| path.starts_with(folder))
        .unwrap_or_else(|| panic!("{path} is in no crate with arrows"));
    let below = path.split_at(folder.len()).1.trim_end_matches(".rs");
    std::iter::once(*name)
        .chain(below.split('/'))
        .filter(|part| !matches!(*part, "mod" | "lib" | ""))
        .map(str::to_owned)
        .collect()
}

/// Whether a file holds only tests.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every path that the code of a file names outside comments, strings and unit tests, in imports or
/// in place, from the root: `crate::room::Item`, `claviger_domain::id::KeyId`, `std::fs`. `super`
/// and `self` are resolved. A file with an `async` function or block also names `async`.
pub(super) fn named_in(path: &str, text: &str) -> BTreeSet<String> {
    let tokens = without_tests(&tokens(text));
    let module = module_of(path);
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token == "async" {
            found.insert("async".to_owned());
        }
        let imports = token == "use";
        let starts = is_name(token)
            && tokens.get(at + 1).is_some_and(|next| next == "::")
            && (at == 0 || tokens[at - 1] != "::");
        if imports || starts {
            let start = at + usize::from(imports);
            let mut paths = Vec::new();
            at = start + tree(&tokens[start..], &[], &mut paths).max(1);
            found.extend(paths.iter().map(|path| resolved(&module, path).join("::")));
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path or tree of paths, and returns the number of its tokens.
fn tree(tokens: &[String], before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    let mut at = 0;
    loop {
        match tokens.get(at).map(String::as_str) {
            // A leading `::`, as in `::std::fs`.
            Some("::") if path.is_empty() => at += 1,
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at += match tokens[at].as_str() {
                        "," => 1,
                        _ => tree(&tokens[at..], &path, paths).max(1),
                    };
                }
                return at + 1;
            }
            Some(name) if is_name(name) || name == "*" => {
                path.push(name.to_owned());
                at += 1;
                if tokens.get(at).is_some_and(|token| token == "::") {
                    at += 1;
                    continue;
                }
                if tokens.get(at).is_some_and(|token| token == "as") {
                    at += 2;
                }
                paths.push(path);
                return at;
            }
            // The end of a path with arguments of a type: `Vec::<u8>::new`.
            _ => {
                paths.push(path);
                return at;
            }
        }
    }
}

/// A path from the root, for one that may begin with `self` or `super`.
fn resolved(module: &[String], path: &[String]) -> Vec<String> {
    let mut base = match path.first().map(String::as_str) {
        Some("crate") => module[..1].to_vec(),
        Some("self" | "super") => module.to_vec(),
        _ => Vec::new(),
    };
    for part in path {
        match part.as_str() {
            // At the end of a tree, `self` is the module itself.
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(part.clone()),
        }
    }
    base
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && !matches!(token, "use" | "as")
}

/// The tokens without the items under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(MARK.len()).eq(MARK.iter()) {
            at = end_of_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The place behind the item that begins here: behind its block or its semicolon.
fn end_of_item(tokens: &[String], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.as_str() {
            "{" | "(" | "[" => open += 1,
            "}" | ")" | "]" => {
                open = open.saturating_sub(1);
                if open == 0 && token == "}" {
                    return at;
                }
            }
            ";" if open == 0 => return at,
            _ => {}
        }
    }
    at
}

/// Names, `::` and single marks. Comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(taken) = literal(rest) {
            taken
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let taken = end.unwrap_or(rest.len());
            found.push(rest.split_at(taken).0.to_owned());
            taken
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = rest.split_at(taken).1;
    }
    found
}

/// The length of the string or character at the start of a text, if one stands there.
fn literal(text: &str) -> Option<usize> {
    let raw = text.strip_prefix('b').unwrap_or(text);
    if let Some(marks) = raw.strip_prefix('r') {
        let hashes = marks.len() - marks.trim_start_matches('#').len();
        if let Some(inside) = marks.split_at(hashes).1.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let closed = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return Some(text.len() - inside.len() + closed);
        }
    }
    let quote = raw.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let inside = raw.split_at(1).1;
    let second = inside.chars().nth(1);
    // A lifetime: an apostrophe with no other behind the next character.
    if quote == '\'' && !inside.starts_with('\\') && second != Some('\'') {
        return None;
    }
    let mut escaped = false;
    for (at, found) in inside.char_indices() {
        if found == quote && !escaped {
            return Some(text.len() - inside.len() + at + 1);
        }
        escaped = found == '\\' && !escaped;
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::{module_of, named_in};
    use std::collections::BTreeSet;

    fn named(text: &str) -> Vec<String> {
        named_in("src/auth/issuer/keys.rs", text).into_iter().collect()
    }

    #[test]
    fn the_module_of_a_file_is_its_path() {
        for (path, module) in [
            ("src/auth/issuer/keys.rs", "crate::auth::issuer::keys"),
            ("src/auth/mod.rs", "crate::auth"),
            ("src/lib.rs", "crate"),
            ("src/store/src/mongo/write/plan.rs", "claviger_store::mongo::write::plan"),
            ("graphql/src/lib.rs", "claviger_graphql"),
        ] {
            assert_eq!(module_of(path).join("::"), module);
        }
    }

    #[test]
    fn imports_are_read_in_every_form() {
        for (text, paths) in [
            ("use crate::bus::Bus;", &["crate::bus::Bus"][..]),
            (
                "pub use crate::bus::{self, keys::{Key as K, *}};",
                &["crate::bus", "crate::bus::keys::*", "crate::bus::keys::Key"],
            ),
            ("use super::claims::Claims;", &["crate::auth::issuer::claims::Claims"]),
            ("use super::super::super::bus;", &["crate::bus"]),
            ("use self::inner::Item;", &["crate::auth::issuer::keys::inner::Item"]),
            ("use ::std::{fs, io::Read};", &["std::fs", "std::io::Read"]),
            ("use claviger_store as quiet;", &["claviger_store"]),
            ("fn f() { crate::http::edge::f::<u8>() }", &["crate::http::edge::f"]),
            ("type T = Vec<crate::cli::CliError>;", &["crate::cli::CliError"]),
            ("fn f() { use crate::bus::Bus; }", &["crate::bus::Bus"]),
            ("impl crate::bus::Wake for T<'a> {}", &["crate::bus::Wake"]),
            ("async fn f() {}", &["async"]),
        ] {
            assert_eq!(named(text), paths, "{text}");
        }
    }

    #[test]
    fn comments_strings_and_unit_tests_name_nothing() {
        for text in [
            "//! See [`crate::bus`].\n/// crate::bus::Bus\n/* crate::bus */",
            "const A: &str = \"crate::bus\\\" crate::bus\";",
            "const A: &str = r#\"crate::\"bus\" crate::bus\"#;",
            "const A: char = '\"'; const B: &str = \"crate::bus\";",
            "#[cfg(test)]\nmod tests { use crate::bus::Bus; fn f() { {} } }",
            "#[cfg(test)]\nuse crate::bus::Bus;",
        ] {
            assert_eq!(named(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn code_behind_unit_tests_and_lifetimes_is_read() {
        let text =
            "#[cfg(test)]\nmod tests;\n\nfn f<'a>(x: &'a str) { let c = 'c'; crate::bus::f(c) }";
        assert_eq!(named_in("src/auth/mod.rs", text), BTreeSet::from(["crate::bus::f".to_owned()]));
    }
}
