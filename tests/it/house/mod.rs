//! The rules of the house that no compiler holds: arrows between rooms, sizes, names, licences, documents.

mod arrows;
mod dependencies;
mod documents;
mod help;
mod shape;
mod tours;
mod tree;
