//! Lengths, costs and sizes of answers at the edge of the schema.
