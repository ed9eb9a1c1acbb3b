//! Texts that people choose, parsed once at the door.

use crate::api_key::contains_secret;
use crate::joiners::{is_joiner, joiners_fit};
use crate::secret::SecretText;

/// Why a text was refused. Holds the rule, never the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing left after trimming.
    #[error("{what} is empty: give {min} to {max} characters")]
    Empty {
        /// Which text.
        what: &'static str,
        /// Fewest characters allowed.
        min: usize,
        /// Most characters allowed.
        max: usize,
    },
    /// Too few characters.
    #[error("{what} has {}: give {min} to {max}", characters(*.len))]
    TooShort {
        /// Which text.
        what: &'static str,
        /// How many it has.
        len: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// Too many characters.
    #[error("{what} has {len} characters: at most {max} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How many it has.
        len: usize,
        /// Most allowed.
        max: usize,
    },
    /// Control characters, line breaks and invisible direction marks included.
    #[error(
        "{what} contains a control or invisible formatting character: use visible characters and spaces"
    )]
    Control {
        /// Which text.
        what: &'static str,
    },
    /// A pasted key.
    #[error(
        "{what} contains sk-ant-, which looks like a secret: give it a plain name, and put the key into the secret field"
    )]
    Secret {
        /// Which text.
        what: &'static str,
    },
    /// `@` in a username.
    #[error("the username contains @, which is kept for e-mail addresses: leave it out")]
    At,
    /// No address.
    #[error("the e-mail address is empty: write it as name@example.org")]
    NoEmail,
    /// Not an address.
    #[error("the e-mail address isn't one: write it as name@example.org")]
    Email,
}

fn characters(len: usize) -> String {
    if len == 1 { "1 character".to_owned() } else { format!("{len} characters") }
}

/// Control characters, line and paragraph separators, and the characters that Unicode defines as
/// invisible (`Default_Ignorable_Code_Point`), except the variation selectors, which emoji and
/// Japanese names need, and the two joiners, which have rules of their own
/// ([`crate::joiners`]). With the others, different texts could look alike.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// The text without the mark (BOM) that editors and shells of Windows write before it. It says how
/// the text is encoded and is no part of it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Trims and checks length (in characters), control characters and pasted keys.
fn plain(what: &'static str, text: &str, min: usize, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    let len = text.chars().count();
    if len == 0 {
        return Err(TextError::Empty { what, min, max });
    }
    if len < min {
        return Err(TextError::TooShort { what, len, min, max });
    }
    if len > max {
        return Err(TextError::TooLong { what, len, max });
    }
    if text.chars().any(is_invisible) || !joiners_fit(text) {
        return Err(TextError::Control { what });
    }
    if contains_secret(text) {
        return Err(TextError::Secret { what });
    }
    Ok(text.to_owned())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $min:literal..=$max:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Most characters allowed.
            pub const MAX: usize = $max;

            /// Trims and checks.
            ///
            /// # Errors
            /// The rule that was broken.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                plain($what, text, $min, $max).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text.
            pub fn into_string(self) -> String {
                self.0
            }
        }
    )+};
}

texts! {
    /// The name of a key: 1 to 100 characters.
    KeyName = "the name", 1..=100;
    /// What a default key is the default of: 1 to 100 characters.
    Context = "the context", 1..=100;
    /// A person's name as they write it: 1 to 200 characters.
    FullName = "the full name", 1..=200;
    /// What a run is called: 1 to 200 characters.
    Title = "the title", 1..=200;
    /// The name of an agent: 1 to 100 characters.
    AgentName = "the agent's name", 1..=100;
    /// What a client gives to make a repeat safe: 1 to 200 characters.
    IdempotencyKey = "the idempotency key", 1..=200;
}

/// A username as typed: 3 to 50 characters, no `@`. Unique by its folded form, which the vault's
/// hash is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Trims and checks.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let what = "the username";
        let text = plain(what, text, 3, 50)?;
        // The fold that makes names unique turns these two into @ as well.
        if text.contains(['@', '\u{ff20}', '\u{fe6b}']) {
            return Err(TextError::At);
        }
        // Unseen beside its twin, and kept by the fold.
        if text.contains(|c| matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')) {
            return Err(TextError::Control { what });
        }
        Ok(Self(text))
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An e-mail address, trimmed and lower-cased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Trims, lower-cases and checks the shape; whether it can receive mail only a mail can show.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        // Lower-casing comes first: it can lengthen a text, and turns the Kelvin sign into the k of
        // a pasted key.
        let what = "the e-mail address";
        let text = plain(what, &text.to_lowercase(), 1, 254).map_err(|error| {
            if matches!(error, TextError::Empty { .. }) { TextError::NoEmail } else { error }
        })?;
        // No mail system takes them in a name, and two addresses would look alike.
        if text.contains(is_joiner) {
            return Err(TextError::Control { what });
        }
        let (name, host) = text.rsplit_once('@').ok_or(TextError::Email)?;
        let named = !name.is_empty()
            && name.len() <= 64
            && !name.contains(|c: char| c == '@' || c.is_whitespace());
        let hosted = host.split('.').count() >= 2
            && host.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            });
        if named && hosted { Ok(Self(text)) } else { Err(TextError::Email) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password of 8 to 256 characters. No rules about kinds of characters (NIST SP 800-63B,
/// 5.1.1.2).
#[expect(missing_debug_implementations, reason = "a secret that can be printed will be printed")]
#[derive(Clone)]
pub struct Password(SecretText);

impl Password {
    /// Checks the length; nothing is trimmed.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn parse(secret: SecretText) -> Result<Self, TextError> {
        let what = "the password";
        let (len, max) = (secret.expose().chars().count(), 256);
        if len < 8 {
            return Err(TextError::TooShort { what, len, min: 8, max });
        }
        if len > max {
            return Err(TextError::TooLong { what, len, max });
        }
        Ok(Self(secret))
    }

    /// The password itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A model id: `[A-Za-z0-9._:-]{1,128}`, so that it may stand in facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId(String);

impl ModelId {
    /// Checks the shape; whether the model exists only the upstream knows.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
        (fits && !contains_secret(text)).then(|| Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
