//! Who asks: local accounts, tokens, sessions.

mod accounts;
mod grants;
mod limiter;
mod passwords;
mod port;
mod tickets;
mod tokens;

pub use accounts::{Auth, AuthConfig, AuthPorts, Registration};
pub use grants::{Denied, Grant};
pub use limiter::RateLimiter;
pub use passwords::Passwords;
pub use port::AccountsPort;
pub use tickets::Ticket;
pub use tokens::{Named, TokenKey, TokenKeyError};
