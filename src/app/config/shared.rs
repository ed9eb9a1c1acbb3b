//! Whom a server serves: who may register, and whose runs may spend what is the operator's. The
//! defaults differ between a server for this machine's user and one that others reach.

use super::{ConfigError, RegistrationSetting, Settings, SharingSetting};
use crate::auth::Registration;
use crate::credentials::Sharing;
use std::net::SocketAddr;

/// Who may use what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) registration: Registration,
    pub(super) env_keys_for: Sharing,
    pub(super) max_plan_for: Sharing,
}

impl Shared {
    /// `says` is whether the command reads the setting of registration; one that doesn't, such as
    /// the demo, decides by itself.
    pub(super) fn of(
        settings: &Settings,
        listen: SocketAddr,
        says: bool,
    ) -> Result<Self, ConfigError> {
        let is_reached_by_others = is_reached_by_others(settings);
        let is_shared = is_reached_by_others || !listen.ip().is_loopback();
        let default = if is_shared { Sharing::Admins } else { Sharing::All };
        let max_plan_for = settings.max_plan_for.map_or(default, sharing);
        if is_shared && max_plan_for == Sharing::All {
            let expected = "admins or none where others reach the server: a plan of Anthropic's is for its owner";
            return Err(ConfigError::Value { name: "max_plan_for", expected });
        }
        let registration = match settings.registration {
            Some(RegistrationSetting::Closed) => Registration::Closed,
            None if !listen.ip().is_loopback() => Registration::Closed,
            // Behind a proxy on this machine "open" would mean everybody, and whoever set the proxy
            // up may not know.
            None if is_reached_by_others && says => {
                let expected = "set, to open or closed, where trusted_proxies, origins, hosts or an \
                                issuer are: others reach the server then (--registration or CLAVIGER_REGISTRATION)";
                return Err(ConfigError::Value { name: "registration", expected });
            }
            Some(RegistrationSetting::Open) | None => Registration::Open,
        };
        let env_keys_for = settings.env_keys_for.map_or(default, sharing);
        Ok(Self { registration, env_keys_for, max_plan_for })
    }
}

/// Whether a setting makes sense only for a server that others reach, whatever its address.
fn is_reached_by_others(settings: &Settings) -> bool {
    let issuer = [
        &settings.jwks_url,
        &settings.jwks_issuer,
        &settings.jwks_audience,
        &settings.jwks_role_claim,
    ];
    settings.trusted_proxies.as_ref().is_some_and(|proxies| !proxies.is_empty())
        || settings.origins.as_ref().is_some_and(|origins| !origins.is_empty())
        || settings.hosts.as_ref().is_some_and(|hosts| !hosts.is_empty())
        || issuer.into_iter().flatten().any(|text| !text.trim().is_empty())
}

const fn sharing(setting: SharingSetting) -> Sharing {
    match setting {
        SharingSetting::All => Sharing::All,
        SharingSetting::Admins => Sharing::Admins,
        SharingSetting::None => Sharing::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listen: &str, change: impl FnOnce(&mut Settings)) -> Result<Shared, String> {
        let mut settings = Settings::default();
        change(&mut settings);
        let shared = Shared::of(&settings, listen.parse().unwrap(), true);
        shared.map_err(|error| error.to_string())
    }

    fn all(registration: Registration, sharing: Sharing) -> Shared {
        Shared { registration, env_keys_for: sharing, max_plan_for: sharing }
    }

    #[test]
    fn a_server_for_oneself_is_open_and_one_that_others_reach_is_not() {
        let (open, closed) = (Registration::Open, Registration::Closed);
        assert_eq!(of("127.0.0.1:8005", |_| ()), Ok(all(open, Sharing::All)));
        assert_eq!(of("[::1]:0", |_| ()), Ok(all(open, Sharing::All)));
        for listen in ["0.0.0.0:8005", "10.0.0.5:8005"] {
            assert_eq!(of(listen, |_| ()), Ok(all(closed, Sharing::Admins)));
        }
        let shared: [fn(&mut Settings); 4] = [
            |settings| settings.trusted_proxies = Some("127.0.0.1".parse().unwrap()),
            |settings| settings.origins = Some("https://app.example.org".parse().unwrap()),
            |settings| settings.hosts = Some("app.example.org".parse().unwrap()),
            |settings| settings.jwks_url = Some("https://login.example.org/jwks".to_owned()),
        ];
        for change in shared {
            let refused = of("127.0.0.1:8005", change).unwrap_err();
            assert!(
                refused.starts_with("registration must be set, to open or closed"),
                "{refused}"
            );
            let said = of("127.0.0.1:8005", |settings| {
                change(settings);
                settings.registration = Some(RegistrationSetting::Open);
            });
            assert_eq!(said, Ok(all(open, Sharing::Admins)));
            assert_eq!(of("10.0.0.5:8005", change), Ok(all(closed, Sharing::Admins)));
        }
        let empty = of("127.0.0.1:8005", |settings| {
            settings.origins = Some(String::new().parse().unwrap());
            settings.jwks_url = Some(" ".to_owned());
        });
        assert_eq!(empty, Ok(all(open, Sharing::All)), "set to nothing");
    }

    #[test]
    fn max_plan_never_serves_everybody_where_others_reach_the_server() {
        let plan = |listen: &str, sharing| of(listen, |settings| settings.max_plan_for = sharing);
        let all = plan("0.0.0.0:8005", Some(SharingSetting::All)).unwrap_err();
        assert!(all.starts_with("max_plan_for must be admins or none"), "{all}");
        let none = plan("0.0.0.0:8005", Some(SharingSetting::None)).unwrap();
        assert_eq!((none.max_plan_for, none.env_keys_for), (Sharing::Nobody, Sharing::Admins));
        let own = plan("127.0.0.1:8005", Some(SharingSetting::All)).unwrap();
        assert_eq!(own.max_plan_for, Sharing::All);
        let keys = of("0.0.0.0:1", |settings| settings.env_keys_for = Some(SharingSetting::All));
        assert_eq!(keys.unwrap().env_keys_for, Sharing::All, "the operator's own choice");
    }
}
