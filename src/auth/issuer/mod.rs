//! Tokens of an external issuer, verified with the keys it publishes (JWKS, RFC 7517). The reasons
//! for this design are in `ops/docs/adr/0019-external-issuer.md`.

mod claims;
mod flaws;
mod jwks;
mod keys;
mod roles;

pub use claims::{ExternalIssuer, Judged, Vouched};
pub(crate) use jwks::address as jwks_address;
pub use jwks::{Jwks, JwksError, JwksSettings};
pub use keys::{IssuerKey, KeySet, KeySetError};
pub use roles::RoleClaim;
