//! Rows that grant something are bound to whom they grant it.
