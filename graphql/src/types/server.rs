//! The server, as everybody may see it.

use async_graphql::{Enum, SimpleObject};
use claviger_application::ServerInfo;

/// What an operator may have switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ServerFeature {
    /// Tokens of an external issuer are accepted.
    ExternalIssuer,
    /// Orchestrations may use the operator's Max plan.
    MaxPlan,
}

/// The server. Needs no token.
#[derive(SimpleObject)]
pub(crate) struct Server {
    /// The program's version.
    version: &'static str,
    /// Whether everybody may create an account (`register`).
    registration_open: bool,
    /// What the operator has switched on.
    features: Vec<ServerFeature>,
}

impl From<&ServerInfo> for Server {
    fn from(info: &ServerInfo) -> Self {
        let features = [
            info.has_issuer.then_some(ServerFeature::ExternalIssuer),
            info.has_max_plan.then_some(ServerFeature::MaxPlan),
        ];
        Self {
            version: info.version,
            registration_open: info.is_registration_open,
            features: features.into_iter().flatten().collect(),
        }
    }
}
