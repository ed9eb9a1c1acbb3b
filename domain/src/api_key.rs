//! What is an Anthropic API key, what only looks like one, and how one is shown.

use crate::secret::SecretText;

/// The beginning of every Anthropic secret.
pub const PREFIX: &str = "sk-ant-";

/// The longest secret taken, in bytes; today's keys have 108.
pub const MAX_LEN: usize = 512;

/// A trimmed Anthropic API key, checked by its shape only.
#[expect(missing_debug_implementations, reason = "a secret that can be printed will be printed")]
#[derive(Clone)]
pub struct ApiKeySecret(SecretText);

/// Why a text isn't an API key. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyShapeError {
    /// Nothing there.
    #[error("the secret is empty: paste the whole API key, which begins with sk-ant-")]
    Empty,
    /// Another kind of text.
    #[error(
        "this is no Anthropic API key: one begins with sk-ant- (make one in the Anthropic Console under API keys)"
    )]
    NotAnthropic,
    /// An admin key.
    #[error(
        "this is an Anthropic admin key (sk-ant-admin…): it manages an organisation and can't run models; make an API key instead"
    )]
    Admin,
    /// An OAuth token.
    #[error(
        "this is a Claude OAuth token (sk-ant-oat…): it belongs to a Claude subscription, not to the API; make an API key instead"
    )]
    OAuth,
    /// A session key of the website.
    #[error(
        "this is a claude.ai session key (sk-ant-sid…): it belongs to a browser; make an API key instead, and sign out there, since it was shown"
    )]
    Session,
    /// Whitespace, control or other characters that no key has.
    #[error(
        "the secret contains a character that no API key has: letters, digits, - and _ only; copy it again"
    )]
    Characters,
    /// Too long for a key.
    #[error("the secret is longer than {MAX_LEN} characters: copy the API key alone")]
    TooLong,
}

impl ApiKeySecret {
    /// Trims and checks by shape. Length is no criterion below [`MAX_LEN`]: Anthropic may change
    /// it.
    ///
    /// # Errors
    /// [`ApiKeyShapeError`], which names the kind of secret that was given instead.
    pub fn parse(secret: &SecretText) -> Result<Self, ApiKeyShapeError> {
        let text = secret.expose().trim();
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Err(if text.is_empty() {
                ApiKeyShapeError::Empty
            } else {
                ApiKeyShapeError::NotAnthropic
            });
        };
        if text.len() > MAX_LEN {
            return Err(ApiKeyShapeError::TooLong);
        }
        if rest.starts_with("admin") {
            return Err(ApiKeyShapeError::Admin);
        }
        if rest.starts_with("oat") || rest.starts_with("ort") {
            return Err(ApiKeyShapeError::OAuth);
        }
        if rest.starts_with("sid") {
            return Err(ApiKeyShapeError::Session);
        }
        if rest.is_empty() {
            return Err(ApiKeyShapeError::NotAnthropic);
        }
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(ApiKeyShapeError::Characters);
        }
        Ok(Self(SecretText::new(text.to_owned())))
    }

    /// The secret itself. Every caller of this is a place to review.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The hint that the Anthropic Console shows, for example `sk-ant-api03-R2D...igAA`: three
    /// characters after the kind, and the last four. It is only `sk-ant-...` for a secret under 40
    /// characters, of which too much would show, and for one without a kind (small letters and
    /// digits), as the characters in the kind's place are then secret.
    pub fn preview(&self) -> String {
        let text = self.expose();
        let kind =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(kind, _)| kind);
        let is_kind = |kind: &&str| {
            !kind.is_empty()
                && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let head = kind.filter(is_kind).map(|kind| PREFIX.len() + kind.len() + 1 + 3);
        let ends = head
            .and_then(|head| Some((text.get(..head)?, text.get(text.len().checked_sub(4)?..)?)));
        match ends {
            Some((head, tail)) if text.len() >= 40 && head.len() <= 20 => {
                format!("{head}...{tail}")
            }
            _ => format!("{PREFIX}..."),
        }
    }
}

/// Whether a text contains something that looks like an Anthropic secret. Such names, titles and
/// keys are refused, so that a secret pasted by mistake doesn't end in an event.
pub fn contains_secret(text: &str) -> bool {
    text.to_ascii_lowercase().contains(PREFIX)
}
