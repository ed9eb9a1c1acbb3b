//! A subscription over server-sent events.

use super::ask::data_of;
use super::trouble::Trouble;
use crate::cli::with_causes;
use crate::sse::decode::{EventLines, TooBig};
use serde_json::Value;
use std::collections::VecDeque;

/// Most bytes of one event: the texts of a whole run fit.
const EVENT_MAX: usize = 64 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Next {
    /// `data` of a response.
    Data(Value),
    /// The subscription ended normally.
    Complete,
}

pub(in super::super) struct Events {
    response: reqwest::Response,
    lines: EventLines,
    waiting: VecDeque<Result<Next, Trouble>>,
}

impl From<TooBig> for Trouble {
    fn from(_: TooBig) -> Self {
        Self::Foreign("an event longer than 64 MiB".to_owned())
    }
}

impl Events {
    pub(super) const fn new(response: reqwest::Response) -> Self {
        Self { response, lines: EventLines::new(EVENT_MAX, usize::MAX), waiting: VecDeque::new() }
    }

    /// The next response. Dropping the future loses none.
    pub(in super::super) async fn next(&mut self) -> Result<Next, Trouble> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return next;
            }
            let lost = |error: reqwest::Error| Trouble::Lost(with_causes(&error.without_url()));
            let Some(bytes) = self.response.chunk().await.map_err(lost)? else {
                return Err(Trouble::Lost("the stream ended".to_owned()));
            };
            let Self { lines, waiting, .. } = self;
            lines.push::<Trouble>(&bytes, |data| {
                waiting.push_back(read(data));
                Ok(())
            })?;
        }
    }
}

/// Only the `complete` event has no data.
fn read(data: &[u8]) -> Result<Next, Trouble> {
    if data.is_empty() {
        return Ok(Next::Complete);
    }
    let foreign = || Trouble::Foreign("an event that is not JSON".to_owned());
    let mut body: Value = serde_json::from_slice(data).map_err(|_| foreign())?;
    data_of(&mut body).ok_or_else(foreign)?.map(Next::Data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::code::ErrorCode;
    use serde_json::json;

    #[test]
    fn an_event_is_a_response_a_refusal_or_the_end() {
        assert_eq!(
            read(br#"{"data":{"orchestration":{"cursor":"c"}}}"#),
            Ok(Next::Data(json!({"orchestration": {"cursor": "c"}})))
        );
        assert_eq!(read(b""), Ok(Next::Complete));
        let refused = read(
            br#"{"data":null,"errors":[{"message":"m","extensions":{"code":"CURSOR_INVALID"}}]}"#,
        );
        assert!(refused.unwrap_err().is(ErrorCode::CursorInvalid));
        assert!(matches!(read(b"<html>"), Err(Trouble::Foreign(_))));
    }
}
