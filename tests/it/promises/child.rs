//! What a user's prompt can reach through the `claude` program.
