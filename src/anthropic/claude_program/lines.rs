//! The program's output: one JSON object a line. Most lines are of no interest here.

use super::super::error::Malformed;
use super::super::stream::{CallFailure, CallItem, Message, Progress};
use crate::confined::{REFUSAL, Refusal};
use claviger_domain::orchestration::FailureClass;
use claviger_domain::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subtype: Option<String>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default)]
    error_status: Option<u16>,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    result: Option<serde_json::Value>,
    #[serde(default)]
    rate_limit_info: Option<RateLimitInfo>,
    #[serde(default)]
    reason: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RateLimitInfo {
    #[serde(rename = "resetsAt", default)]
    resets_at: Option<u64>,
}

/// The result of one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Items(Vec<CallItem>),
    Nothing,
    /// The program has finished.
    Result {
        is_error: bool,
    },
    /// Our launcher started nothing.
    NotStarted(Refusal),
}

/// What the lines up to now contained.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) message: Message,
    /// `error` of the last `assistant` line that had one.
    word: Option<String>,
    /// The last HTTP status that the program reported.
    status: Option<u16>,
    resets: Option<Timestamp>,
}

impl Default for Talk {
    fn default() -> Self {
        // The program retries by itself.
        Self { message: Message::restartable(), word: None, status: None, resets: None }
    }
}

impl Talk {
    /// Takes a line. Lines of unknown kinds and lines that are not JSON are ignored: the program
    /// may write warnings to its standard output.
    ///
    /// # Errors
    /// [`Malformed::Unreadable`] for a `stream_event` without a valid event.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<Said, Malformed> {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Ok(Said::Nothing) };
        match line.kind.as_str() {
            "stream_event" => {
                let event = line.event.ok_or(Malformed::Unreadable)?;
                return match self.message.take(None, event.get().as_bytes())? {
                    Progress::Items(items) => Ok(Said::Items(items)),
                    // The program retries after an `error` event; its result line shows whether
                    // that worked.
                    Progress::Error => Ok(Said::Nothing),
                };
            }
            "system" if line.subtype.as_deref() == Some("api_retry") => {
                self.status = line.error_status.or(self.status);
            }
            "assistant" => {
                let word = line.error.as_ref().and_then(serde_json::Value::as_str);
                self.word = word.map(str::to_owned).or(self.word.take());
            }
            "rate_limit_event" => {
                let reset = line.rate_limit_info.and_then(|info| info.resets_at);
                self.resets = reset
                    .map(|seconds| Timestamp(seconds.saturating_mul(1000)).min(Timestamp::MAX))
                    .or(self.resets);
            }
            "result" => {
                if line.is_error {
                    let text = line
                        .result
                        .as_ref()
                        .and_then(serde_json::Value::as_str)
                        .unwrap_or_default();
                    self.status = status_in(text).or(self.status);
                }
                return Ok(Said::Result { is_error: line.is_error });
            }
            REFUSAL => {
                let reason = line.reason.and_then(|reason| serde_json::from_value(reason).ok());
                return Ok(Said::NotStarted(reason.unwrap_or(Refusal::Other)));
            }
            _ => {}
        }
        Ok(Said::Nothing)
    }

    /// Why the program failed, classified by its error word and its HTTP status.
    pub(super) fn failure(&self, now: Timestamp) -> CallFailure {
        let class = match (self.word.as_deref(), self.status) {
            (Some("authentication_failed"), _) | (_, Some(401)) => FailureClass::Authentication,
            (Some("billing_error"), _) | (_, Some(402)) => FailureClass::Credit,
            (Some("rate_limit"), _) | (_, Some(429)) => FailureClass::RateLimit,
            (Some("invalid_request"), _) | (_, Some(400 | 409 | 413)) => FailureClass::Request,
            (_, Some(403 | 404)) => FailureClass::Permission,
            (Some("server_error"), _) | (_, Some(500..)) => FailureClass::Overloaded,
            (Some(_) | None, _) => FailureClass::Connection,
        };
        let limited = class == FailureClass::RateLimit;
        CallFailure {
            until: self.resets.filter(|until| limited && *until > now),
            status: self.status,
            usage: self.message.usage(),
            maybe_billed: self.message.has_started(),
            ..CallFailure::bare(class, "the claude program reports that the call failed")
        }
    }
}

/// The status in `API Error: 529 …`.
fn status_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("API Error: ")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_446_000_000);

    fn failure(lines: &[&str]) -> (FailureClass, Option<u16>, Option<Timestamp>) {
        let mut talk = Talk::default();
        for line in lines {
            talk.take(line.as_bytes()).unwrap();
        }
        let failure = talk.failure(NOW);
        (failure.class, failure.status, failure.until)
    }

    #[test]
    fn a_failed_result_is_classified_by_its_words_and_statuses() {
        let result = |text: &str| {
            format!(r#"{{"subtype":"success","is_error":true,"result":"{text}","type":"result"}}"#)
        };
        for (lines, class, status) in [
            (vec![result("API Error: 529 Overloaded")], FailureClass::Overloaded, Some(529)),
            (vec![result("API Error: 401 no")], FailureClass::Authentication, Some(401)),
            (vec![result("API Error: 404 model")], FailureClass::Permission, Some(404)),
            (vec![result("API Error: 4 apples")], FailureClass::Connection, None),
            (vec![result("")], FailureClass::Connection, None),
            (
                vec![
                    r#"{"type":"system","subtype":"api_retry","attempt":1,"error_status":503}"#
                        .to_owned(),
                    result("?"),
                ],
                FailureClass::Overloaded,
                Some(503),
            ),
            (
                vec![
                    r#"{"message":{},"error":"billing_error","type":"assistant"}"#.to_owned(),
                    result(""),
                ],
                FailureClass::Credit,
                None,
            ),
        ] {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            assert_eq!(failure(&lines), (class, status, None), "{lines:?}");
        }
        let soon = NOW.plus_ms(60_000);
        let limit = format!(
            r#"{{"type":"rate_limit_event","rate_limit_info":{{"resetsAt":{}}}}}"#,
            soon.0 / 1000
        );
        assert_eq!(
            failure(&[&limit, &result("API Error: 429 x")]),
            (FailureClass::RateLimit, Some(429), Some(soon))
        );
    }

    #[test]
    fn unknown_lines_are_ignored() {
        let mut talk = Talk::default();
        for line in [
            "",
            "warning: hello",
            "[]",
            r#"{"type":"brand_new"}"#,
            r#"{"type":"system","subtype":"init","tools":[]}"#,
        ] {
            assert_eq!(talk.take(line.as_bytes()), Ok(Said::Nothing), "{line}");
        }
        assert_eq!(talk.take(br#"{"type":"stream_event"}"#), Err(Malformed::Unreadable));
    }
}
