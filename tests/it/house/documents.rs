//! Documents that must agree with the code.

use super::tree::{read, root, rust_files};
use claviger_domain::code::ErrorCode;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_error_code_has_a_page_that_names_its_status_and_exit_code() {
    for code in ErrorCode::ALL {
        let name = code.as_str();
        let page = read(&format!("ops/docs/errors/{name}.md"));
        let heading = format!("# {name}\n");
        let status = format!("| HTTP status | {} |", code.http_status());
        let exit = format!("| Exit code | {} |", code.exit_code());
        for part in [heading, status, exit] {
            assert!(page.contains(&part), "the page of {name} lacks {part:?}");
        }
        for section in ["## When it comes", "## What to do", "## Example"] {
            assert!(page.contains(section), "the page of {name} lacks {section:?}");
        }
    }
}

#[test]
fn there_is_no_page_of_a_code_that_there_is_not() {
    let pages = std::fs::read_dir(root().join("ops/docs/errors")).expect("the pages");
    let names = pages.map(|page| page.expect("a page").file_name().into_string().expect("UTF-8"));
    let expected: BTreeSet<String> =
        ErrorCode::ALL.iter().map(|code| format!("{}.md", code.as_str())).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_symptom_names_codes_whose_pages_lead_back_to_it() {
    let text = read("ops/docs/TROUBLESHOOTING.md");
    let mut anchors = BTreeSet::new();
    for symptom in text.split("\n## ").skip(1) {
        let (title, rest) = symptom.split_once('\n').expect("a heading");
        let anchor = title.to_lowercase().replace(' ', "-");
        let codes = rest.split("(errors/").skip(1).filter_map(|rest| rest.split_once(".md)"));
        let codes: Vec<&str> = codes.map(|(code, _)| code).collect();
        assert!(!codes.is_empty(), "{title} names no code");
        for code in codes {
            let link = format!("(../TROUBLESHOOTING.md#{anchor})");
            let page = read(&format!("ops/docs/errors/{code}.md"));
            assert!(page.contains(&link), "the page of {code} lacks {link}");
        }
        anchors.insert(anchor);
    }
    assert_eq!(anchors.len(), 8, "{anchors:?}");
    for code in ErrorCode::ALL {
        let page = read(&format!("ops/docs/errors/{}.md", code.as_str()));
        for rest in page.split("TROUBLESHOOTING.md#").skip(1) {
            let (anchor, _) = rest.split_once(')').expect("the link's end");
            assert!(anchors.contains(anchor), "{}: there is no symptom {anchor}", code.as_str());
        }
    }
}

/// The commands in the first `sh` block of a section.
fn commands_of(text: &str, heading: &str) -> Vec<String> {
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading:?}"));
    let (_, block) = section.split_once("```sh\n").expect("a block of commands");
    let (block, _) = block.split_once("```").expect("the block's end");
    block
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn ci_runs_the_very_commands_that_the_readme_gives() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let steps: Vec<&str> = ci
        .lines()
        .filter_map(|line| line.strip_prefix("section \"")?.split_once("\" ").map(|(_, step)| step))
        .collect();
    let (run, test) = (commands_of(&readme, "Run it"), commands_of(&readme, "Test it"));
    assert_eq!((run.len(), test.len()), (1, 1), "one command each");
    for command in test {
        assert!(steps.contains(&command.as_str()), ".ci/run doesn't call {command:?}");
    }
    for command in run {
        // CI can't press Ctrl-C.
        let and_ends = format!("{command} --exit");
        assert!(steps.contains(&and_ends.as_str()), ".ci/run doesn't call {and_ends:?}");
    }
}

/// Variables named in a text.
fn variables_of(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let starts = text.match_indices("CLAVIGER_").map(|(at, _)| text.split_at(at).1);
    let names =
        starts.map(|rest| rest.find(|c| !is_name(c)).map_or(rest, |end| rest.split_at(end).0));
    names.filter(|name| *name != "CLAVIGER_").collect()
}

#[test]
fn the_configuration_is_what_the_program_prints() {
    assert!(
        read("ops/docs/CONFIGURATION.md") == claviger::app::config::reference(),
        "run: cargo run -- config-reference > ops/docs/CONFIGURATION.md"
    );
}

/// The variables that the program names, as the sources of its folder do; not those of the
/// reference itself.
fn variables_of_the_program() -> BTreeSet<String> {
    let sources = rust_files("src").into_iter().filter(|(path, _)| !path.ends_with("reference.rs"));
    sources.flat_map(|(_, text)| owned(&variables_of(&text))).collect()
}

fn owned(names: &BTreeSet<&str>) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_configuration_names_every_variable_and_no_other() {
    let text = read("ops/docs/CONFIGURATION.md");
    assert_eq!(owned(&variables_of(&text)), variables_of_the_program());
}

#[test]
fn documents_name_no_variable_that_there_is_not() {
    let known = variables_of_the_program();
    for (document, text) in documents() {
        let of_tests =
            |name: &str| name.starts_with("CLAVIGER_TEST_") || name == "CLAVIGER_REQUIRE_MONGODB";
        let unknown: Vec<&str> = variables_of(&text)
            .into_iter()
            .filter(|name| !known.contains(*name) && !of_tests(name))
            .collect();
        assert!(unknown.is_empty(), "{document} names {unknown:?}");
    }
}

#[test]
fn the_readme_is_short() {
    let bytes = read("README.md").len();
    assert!(bytes <= 10_000, "README.md must have at most 10000 bytes, got {bytes}");
}

#[test]
fn the_tour_lists_the_exit_code_of_every_error() {
    let tour = read("ops/docs/TOUR.md");
    for code in ErrorCode::ALL {
        let (exit, name) = (code.exit_code(), code.as_str());
        let entry = format!("| {exit} [`{name}`](errors/{name}.md) ");
        assert!(tour.contains(&entry), "ops/docs/TOUR.md lacks {entry:?}");
    }
}

#[test]
fn every_room_has_a_readme_which_is_its_documentation() {
    for room in [
        "",
        "domain/",
        "domain/vault/",
        "domain/proof/",
        "projections/",
        "projections/suite/",
        "src/application/",
        "src/store/",
        "ops/bench/",
        "graphql/",
    ] {
        assert!(
            read(&format!("{room}README.md")).lines().count() > 2,
            "{room}README.md is too short"
        );
        let library = read(&format!("{room}src/lib.rs"));
        assert!(
            library.contains("#![doc = include_str!(\"../README.md\")]"),
            "{room}src/lib.rs doesn't show its README"
        );
    }
}

/// README, CHANGELOG and everything in `ops/docs`, as (path, text).
pub(super) fn documents() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["ops/docs", "ops/docs/adr", "ops/docs/errors", "ops/docs/runbooks"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder of documents") {
            let name = entry.expect("a document").file_name().into_string().expect("UTF-8");
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                paths.push(format!("{folder}/{name}"));
            }
        }
    }
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (document, text) in documents() {
        let folder = root().join(&document).parent().expect("a folder").to_owned();
        for (_, rest) in text.match_indices("](").map(|(at, mark)| text.split_at(at + mark.len())) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(
                    folder.join(target).exists(),
                    "{document} links to {target}, which does not exist"
                );
            }
        }
    }
}
