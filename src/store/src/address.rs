//! The addresses of stores, for configurations that name no store's implementation.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The address of the server, `mongodb://…`. May contain a password, so it has no readable form.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct MongoUri(String);

impl MongoUri {
    /// The text, for the driver.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for MongoUri {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for MongoUri {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongoUri(..)")
    }
}
