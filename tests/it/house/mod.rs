//! The rules of the repository that no compiler enforces: arrows between rooms, sizes, names,
//! licences, documents.

mod arrows;
mod decisions;
mod dependencies;
mod documents;
mod help;
mod imports;
mod rooms;
mod shape;
mod tours;
mod tree;
