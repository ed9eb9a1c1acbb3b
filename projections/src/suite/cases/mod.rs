//! The cases, one file per part of the contract.

use super::case::Case;

/// Declares the files and gathers their cases: a file that is not here isn't compiled, and one that is can't be left out.
macro_rules! files {
    ($($file:ident),+ $(,)?) => {
        $(mod $file;)+

        /// Every case of the contract.
        pub fn cases() -> impl Iterator<Item = &'static Case> {
            [$($file::CASES),+].into_iter().flatten()
        }
    };
}

files!(
    append, claims, deltas, durability, erase, followers, history, leases, order, reads, records,
    refusals, repairs, rotation, rows, sessions, views
);
