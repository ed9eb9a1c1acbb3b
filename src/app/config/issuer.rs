//! An external issuer, as configured.

use super::{ConfigError, Settings};
use crate::auth::{JwksSettings, RoleClaim, jwks_address};

/// An issuer whose tokens are accepted beside our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Address of its keys.
    pub url: String,
    /// `iss` of its tokens.
    pub issuer: String,
    /// `aud` of its tokens: this server.
    pub audience: String,
    /// Where its tokens hold the roles of a user; `None` where our accounts do.
    pub role_claim: Option<RoleClaim>,
    /// When keys are fetched. No setting changes it.
    pub fetching: JwksSettings,
}

impl IssuerConfig {
    /// All of it or nothing: a token must be checked against both an issuer and an audience.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let text = |setting: &Option<String>| {
            setting.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (url, issuer, audience) =
            (text(&settings.jwks_url), text(&settings.jwks_issuer), text(&settings.jwks_audience));
        let role_claim = text(&settings.jwks_role_claim).map(|claim| {
            let expected = "the name of a claim, or a path such as realm_access.roles";
            RoleClaim::parse(&claim).ok_or(ConfigError::Value { name: "jwks_role_claim", expected })
        });
        let role_claim = role_claim.transpose()?;
        match (url, issuer, audience) {
            (None, None, None) if role_claim.is_none() => Ok(None),
            (Some(url), Some(issuer), Some(audience)) => {
                let expected = "the https:// address of the issuer's keys (http:// only on this machine), without a password";
                jwks_address(&url)
                    .map_err(|_| ConfigError::Value { name: "jwks_url", expected })?;
                let fetching = JwksSettings::default();
                Ok(Some(Self { url, issuer, audience, role_claim, fetching }))
            }
            _ => Err(ConfigError::Value {
                name: "jwks_url",
                expected: "set together with jwks_issuer and jwks_audience",
            }),
        }
    }
}
