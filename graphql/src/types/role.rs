//! The roles of users.

use async_graphql::Enum;
use claviger_domain::actor;

/// The rights of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "actor::Role")]
pub(crate) enum Role {
    /// Full access to the user's own data.
    User,
    /// Reads the structure and facts of all users' data, but no content.
    Auditor,
    /// An auditor who may also manage accounts.
    Admin,
}
