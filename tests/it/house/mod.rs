//! The rules of the repository that no compiler enforces: arrows between rooms, sizes, names,
//! licences, documents.

mod arrows;
mod dependencies;
mod documents;
mod help;
mod shape;
mod tours;
mod tree;
