//! The rules of the repository that no compiler enforces: arrows between rooms, sizes, names,
//! licences, documents.

mod arrows;
mod dependencies;
mod documents;
mod shape;
mod tree;
