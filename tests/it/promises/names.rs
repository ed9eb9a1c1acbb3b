//! Limits by account, defaults behind proxies, and users of an issuer.
