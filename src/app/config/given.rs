//! What was set for a command that a running server does in its place: with its own settings, so
//! that others are refused and not ignored.

use super::{Config, Settings};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The settings that change what a command of the operator does; `None` where nobody set one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    anthropic_base_url: Option<String>,
    max_keys: Option<usize>,
    model: Option<String>,
    prices: Option<PathBuf>,
    test_timeout_ms: Option<u64>,
}

impl Given {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            anthropic_base_url: settings.anthropic_base_url.clone(),
            max_keys: settings.max_keys,
            model: settings.model.clone(),
            prices: settings.prices.as_deref().map(from_the_root),
            test_timeout_ms: settings.test_timeout_ms,
        }
    }

    /// The first setting that the server has otherwise.
    pub fn differs_from(&self, server: &Config) -> Option<&'static str> {
        let model = server.model.as_ref().map(|model| model.as_str().to_owned());
        let prices = server.prices.as_deref().map(from_the_root);
        let other = [
            (
                "anthropic_base_url",
                differs(self.anthropic_base_url.as_ref(), server.anthropic_base_url.as_ref()),
            ),
            ("max_keys", differs(self.max_keys.as_ref(), Some(&server.max_keys))),
            ("model", differs(self.model.as_ref(), model.as_ref())),
            ("prices", differs(self.prices.as_ref(), prices.as_ref())),
            (
                "test_timeout_ms",
                differs(self.test_timeout_ms.as_ref(), Some(&server.test_timeout_ms)),
            ),
        ];
        other.into_iter().find_map(|(name, differs)| differs.then_some(name))
    }
}

fn differs<T: PartialEq>(given: Option<&T>, server: Option<&T>) -> bool {
    given.is_some() && given != server
}

/// The two programs may have other working directories.
fn from_the_root(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Settings);

    #[test]
    fn a_setting_that_the_server_has_otherwise_is_named_and_one_that_nobody_set_is_not() {
        let mut server = Settings { max_keys: Some(7), ..Settings::default() };
        let config = Config::resolve(server.clone(), true).unwrap();
        let told = |change: Change| {
            let mut settings = Settings::default();
            change(&mut settings);
            Given::of(&settings).differs_from(&config)
        };
        assert_eq!(told(|_| ()), None);
        assert_eq!(told(|settings| settings.max_keys = Some(7)), None);
        assert_eq!(told(|settings| settings.test_timeout_ms = Some(20_000)), None, "the default");
        let changes: [(Change, &str); 5] = [
            (
                |settings| settings.anthropic_base_url = Some("http://127.0.0.1:1".to_owned()),
                "anthropic_base_url",
            ),
            (|settings| settings.max_keys = Some(100), "max_keys"),
            (|settings| settings.model = Some("claude-haiku-5-5".to_owned()), "model"),
            (|settings| settings.prices = Some("prices.json".into()), "prices"),
            (|settings| settings.test_timeout_ms = Some(1), "test_timeout_ms"),
        ];
        for (change, name) in changes {
            assert_eq!(told(change), Some(name));
            change(&mut server);
        }
        let all = Config::resolve(server.clone(), true).unwrap();
        assert_eq!(Given::of(&server).differs_from(&all), None);
    }
}
