//! The list in `ops/docs/SECURITY.md`, and what was found instead.

use super::cases::Depth;
use std::collections::BTreeMap;
use std::fmt;

const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/ops/docs/SECURITY.md"));

/// How often a case was tried, and how often it was found.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    pub(super) tried: u32,
    pub(super) found: u32,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tried, self.found) {
            (0, _) => "–",
            (_, 0) => "not found",
            (tried, found) if tried == found => "found",
            _ => "in part",
        })
    }
}

/// A table, or a column of one.
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) added: Cell,
    pub(super) deleted: Cell,
    pub(super) edited: Cell,
    pub(super) swapped: Cell,
    pub(super) old: Cell,
}

impl Line {
    /// Whether what was tried came out as it is listed.
    fn fits(&self, listed: &str) -> bool {
        let Self { added, deleted, edited, swapped, old } = self;
        let cells = [added, deleted, edited, swapped, old];
        let words = listed.trim_matches('|').split('|').map(str::trim);
        cells
            .into_iter()
            .zip(words)
            .all(|(cell, word)| cell.tried == 0 || word == "in part" || word == cell.to_string())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, deleted, edited, swapped, old } = self;
        write!(f, "| {added} | {deleted} | {edited} | {swapped} | {old} |")
    }
}

/// By table, and by table and column.
#[derive(Default)]
pub(super) struct Found(pub(super) BTreeMap<String, Line>);

impl Found {
    pub(super) fn print(&self, heading: &str) {
        println!("### {heading}");
        println!(
            "| place | one more | deleted | edited | swapped | old one back |\n|---|---|---|---|---|---|"
        );
        for (place, line) in &self.0 {
            println!("| `{place}` {line}");
        }
    }
}

/// The lines below a heading, and the text that explains them.
pub(super) struct Listed {
    lines: BTreeMap<String, String>,
    explained: String,
}

impl Listed {
    pub(super) fn of(heading: &str) -> Self {
        let section = TEXT.split(&format!("\n### {heading}\n")).nth(1).expect("the section");
        let section = section.split("\n### ").next().unwrap();
        let line = |line: &str| {
            let (place, cells) = line.strip_prefix("| `")?.split_once("` ")?;
            Some((place.to_owned(), cells.to_owned()))
        };
        let explained = TEXT.split("\n### What is not found\n").nth(1).expect("the explanations");
        Self { lines: section.lines().filter_map(line).collect(), explained: explained.to_owned() }
    }

    /// The same places with the same results, and an explanation of everything that is not found.
    pub(super) fn compare(&self, found: &Found, depth: Depth) {
        let mut wrong = Vec::new();
        for (place, line) in &found.0 {
            let text = line.to_string();
            match self.lines.get(place) {
                None => wrong.push(format!("{place} is not in the list: {text}")),
                Some(listed) if depth == Depth::Full && *listed != text || !line.fits(listed) => {
                    wrong.push(format!("{place}: listed as {listed}, and it is {text}"));
                }
                Some(_) => {}
            }
            let is_blind = text.contains("not found") || text.contains("in part");
            if is_blind && !self.explained.contains(&format!("`{place}`")) {
                wrong.push(format!("nothing says what {place} allows"));
            }
        }
        let gone = self.lines.keys().filter(|place| !found.0.contains_key(*place));
        wrong.extend(gone.map(|place| format!("{place} is listed, and no store has it")));
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}
