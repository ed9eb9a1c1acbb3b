//! What is particular to MongoDB.
