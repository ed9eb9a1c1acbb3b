//! The cases, one file per part of the contract.

use crate::case::Case;

/// Declares the files and collects their cases: a file that is not listed is not compiled, and the
/// cases of a listed file cannot be left out.
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
    refusals, reliance, repairs, rotation, rows, sessions, tickets, views
);
