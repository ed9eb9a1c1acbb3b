//! What comes in from outside: licences, sources, and crates that must not
//! (`ops/docs/adr/0007-crates.md`).

use super::tree::root;
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::process::Command;

/// Licences that may be combined with Apache-2.0 in a program that is given away.
const LICENCES: [&str; 11] = [
    "Apache-2.0",
    // Permissive, for data: the list of root certificates that the MongoDB driver trusts.
    "CDLA-Permissive-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A second TLS stack, with a C library of the machine's, would come in by a feature switched on by
/// accident.
const BANNED: [&str; 3] = ["native-tls", "openssl", "openssl-sys"];

/// Everything built on this machine: other platforms' packages may not have been fetched.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let said = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host =
        said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let options = ["--locked", "--offline", "--filter-platform", host].map(str::to_owned).to_vec();
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(options)
        .exec()
        .expect("cargo metadata")
}

/// Whether an SPDX expression leaves a choice that is allowed. `OR` binds weaker than `AND`; the
/// slash is its old spelling.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    any(&expression)
}

fn any(expression: &str) -> bool {
    split(expression, "OR")
        .iter()
        .any(|part| split(part, "AND").iter().all(|term| is_term_allowed(term)))
}

fn is_term_allowed(term: &str) -> bool {
    match term.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => any(inner),
        None => LICENCES.contains(&term),
    }
}

/// Cuts at an operator that stands outside brackets.
fn split(expression: &str, operator: &str) -> Vec<String> {
    let (mut parts, mut open) = (vec![Vec::new()], 0_usize);
    for word in expression.split_whitespace() {
        if open == 0 && word == operator {
            parts.push(Vec::new());
        } else {
            open = (open + word.matches('(').count()).saturating_sub(word.matches(')').count());
            parts.last_mut().expect("one part at least").push(word);
        }
    }
    parts.into_iter().map(|words| words.join(" ")).collect()
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("ISC AND (Apache-2.0 OR GPL-2.0)", true),
        ("ISC AND (GPL-3.0 OR GPL-2.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("MIT AND GPL-3.0 OR ISC", true),
        ("", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let licence = |package: &Package| package.license.clone().unwrap_or_default();
    let refused: Vec<_> = metadata()
        .packages
        .iter()
        .filter(|package| !is_allowed(&licence(package)))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, licence(package)))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_dependency_comes_from_the_registry() {
    let elsewhere: Vec<_> = metadata()
        .packages
        .iter()
        .filter(|package| {
            package.source.as_ref().is_some_and(|source| !source.repr.starts_with("registry+"))
        })
        .map(|package| package.name.to_string())
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn no_second_tls_stack_comes_in() {
    let metadata = metadata();
    let names: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let present: Vec<_> = BANNED.iter().filter(|banned| names.contains(*banned)).collect();
    assert!(present.is_empty(), "{present:?}");
}
