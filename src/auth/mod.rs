//! Authentication: local accounts, tokens, sessions.

mod accounts;
mod administration;
mod attempts;
mod checked;
mod external;
mod grants;
mod issuer;
mod passwords;
mod port;
mod resets;
mod sessions;
mod tickets;
mod tokens;

pub use accounts::{Auth, AuthConfig, AuthPorts, Registration};
pub use grants::{Denied, Grant};
pub(crate) use issuer::jwks_address;
pub use issuer::{
    ExternalIssuer, IssuerKey, Judged, Jwks, JwksError, JwksSettings, KeySet, KeySetError,
    RoleClaim, Vouched,
};
pub use passwords::Passwords;
pub use port::AccountsPort;
pub use tickets::Ticket;
pub use tokens::{Named, TokenKey, TokenKeyError};
