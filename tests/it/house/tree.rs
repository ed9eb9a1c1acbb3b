//! The files of the tree, as a checkout has them.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are no source of ours: built, fetched, or somebody's data.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "claviger-data", ".git"];

/// The root of the tree.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the tree, by its path from the root.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file below a folder, as (path from the root, text), in order.
pub(super) fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort();
    let from_root = |path: PathBuf| {
        path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").to_owned()
    };
    found.into_iter().map(from_root).map(|path| (path.clone(), read(&path))).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree") {
        let entry = entry.expect("an entry of the folder");
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            if !NOT_OURS.iter().any(|not_ours| name == *not_ours) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A text up to its unit tests.
pub(super) fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]").map_or(text, |(code, _)| code)
}
