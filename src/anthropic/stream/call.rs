//! A streamed message over HTTP.

use super::super::client::{ANSWER_MAX, AnthropicClient, SHORT_ANSWER_MAX, read_capped};
use super::super::error::{FailureClass as Cause, Malformed, UpstreamFailure};
use super::super::headers::{Origin, RateLimits};
use super::item::{CallEnd, CallFailure, CallItem, CallStream};
use super::message::{Message, Progress};
use super::request::MessageRequest;
use crate::sse::decode::EventLines;
use claviger_domain::orchestration::{FailureClass, Usage};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use futures::{StreamExt as _, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Time and size limits of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Until the head of the response.
    pub first_byte: Duration,
    /// Between two chunks of the response. Upstream sends pings while it has no data.
    pub idle: Duration,
    /// For the whole call.
    pub whole: Duration,
    /// Upper bound of a line, and of an event, in bytes.
    pub line_max: usize,
    /// Upper bound of the response, in bytes.
    pub total_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            whole: Duration::from_mins(10),
            line_max: 1024 * 1024,
            total_max: ANSWER_MAX,
        }
    }
}

impl AnthropicClient {
    /// `POST /v1/messages`, streamed. Sends nothing before the stream is polled; dropping the
    /// stream closes the request.
    pub fn messages(
        &self,
        secret: &SecretText,
        request: &MessageRequest,
        limits: StreamLimits,
        now: Timestamp,
    ) -> CallStream {
        let body = request.to_json().to_string().into_bytes();
        let request = self.post(secret, &["v1", "messages"], body);
        let state =
            Call { limits, now, phase: Phase::Before(Box::new(request)), ready: VecDeque::new() };
        let reports = self.reports.clone();
        stream::unfold(state, |mut call| async move { call.next().await.map(|item| (item, call)) })
            .inspect(move |item| reports.item(item))
            .boxed()
    }
}

struct Call {
    limits: StreamLimits,
    now: Timestamp,
    phase: Phase,
    ready: VecDeque<CallItem>,
}

enum Phase {
    Before(Box<Result<RequestBuilder, UpstreamFailure>>),
    Under(Box<Answering>),
    Over,
}

/// A response whose head has arrived.
struct Answering {
    response: Response,
    headers: HeaderMap,
    started: Instant,
    lines: EventLines,
    message: Message,
}

fn failed(failure: UpstreamFailure) -> CallItem {
    let limits = RateLimits::default();
    CallItem::Failed(Box::new(CallFailure::of(failure, Usage::default(), limits)))
}

fn late() -> UpstreamFailure {
    UpstreamFailure::late()
}

impl Call {
    async fn next(&mut self) -> Option<CallItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::Before(request) => match self.begin(*request).await {
                    Ok(answering) => self.phase = Phase::Under(Box::new(answering)),
                    Err(item) => return Some(item),
                },
                Phase::Under(answering) => self.go_on(*answering).await,
            }
        }
    }

    async fn begin(
        &self,
        request: Result<RequestBuilder, UpstreamFailure>,
    ) -> Result<Answering, CallItem> {
        let started = Instant::now();
        let request = request.map_err(failed)?;
        let by = started + self.limits.first_byte.min(self.limits.whole);
        let sent = timeout_at(by, request.send()).await.map_err(|_| failed(late()))?;
        let response =
            sent.map_err(|error| failed(UpstreamFailure::from_transport(&error, None)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let limits = RateLimits::of(&headers);
        if !status.is_success() {
            // The status counts even if the body was cut off or did not arrive in time.
            let body = timeout_at(by, read_capped(response, SHORT_ANSWER_MAX)).await;
            let body = body.ok().and_then(Result::ok).unwrap_or_default();
            let failure = UpstreamFailure::from_answer(
                status.as_u16(),
                &headers,
                &body,
                after(self.now, started),
            );
            return Err(CallItem::Failed(Box::new(CallFailure::of(
                failure,
                Usage::default(),
                limits,
            ))));
        }
        if is_something_else(&headers) {
            let origin = Origin::of(&headers);
            let is_theirs = origin.request_id.is_some() && content_type(&headers).contains("json");
            let kind = if is_theirs { Malformed::Unreadable } else { Malformed::Foreign };
            let failure = UpstreamFailure::malformed(kind, status.as_u16(), origin);
            return Err(CallItem::Failed(Box::new(CallFailure::of(
                failure,
                Usage::default(),
                limits,
            ))));
        }
        let lines = EventLines::new(self.limits.line_max, self.limits.total_max);
        Ok(Answering { response, headers, started, lines, message: Message::default() })
    }

    /// Reads one chunk. A response that continues is put back; a finished one is dropped together
    /// with its connection.
    async fn go_on(&mut self, mut answering: Answering) {
        let by = (Instant::now() + self.limits.idle).min(answering.started + self.limits.whole);
        let read = timeout_at(by, answering.response.chunk()).await;
        let result = match read {
            Err(_) => Err(answering.failure(&late())),
            Ok(Err(error)) => {
                Err(answering.failure(&UpstreamFailure::from_transport(&error, Some(200))))
            }
            Ok(Ok(None)) => answering.finish(self.now, &mut self.ready),
            Ok(Ok(Some(bytes))) => answering.take(&bytes, self.now, &mut self.ready),
        };
        match result {
            Ok(false) => self.phase = Phase::Under(Box::new(answering)),
            Ok(true) => self.ready.push_back(answering.end()),
            Err(failure) => self.ready.push_back(CallItem::Failed(failure)),
        }
    }
}

impl Answering {
    /// Returns whether the message is complete.
    fn take(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        ready: &mut VecDeque<CallItem>,
    ) -> Result<bool, Box<CallFailure>> {
        self.read(now, ready, |lines, each| lines.push_named(bytes, each))
    }

    /// The body has ended: perhaps in the middle.
    fn finish(
        &mut self,
        now: Timestamp,
        ready: &mut VecDeque<CallItem>,
    ) -> Result<bool, Box<CallFailure>> {
        if self.read(now, ready, |lines, each| lines.finish(each)).is_ok_and(|is_whole| is_whole) {
            return Ok(true);
        }
        let headers = &self.headers;
        // An event stream that is none, from somebody who isn't Anthropic.
        let is_foreign = !self.message.has_started()
            && !is_event_stream(headers)
            && Origin::of(headers).request_id.is_none();
        Err(self.unusable(if is_foreign { Malformed::Foreign } else { Malformed::Cut }))
    }

    fn read(
        &mut self,
        now: Timestamp,
        ready: &mut VecDeque<CallItem>,
        from: impl FnOnce(&mut EventLines, &mut Each<'_>) -> Result<(), Malformed>,
    ) -> Result<bool, Box<CallFailure>> {
        let Self { lines, message, headers, started, .. } = self;
        let mut error = None;
        let read = from(lines, &mut |name, data| {
            if message.is_whole() || error.is_some() {
                return Ok(());
            }
            match message.take(name, data)? {
                Progress::Items(items) => ready.extend(items),
                Progress::Error => {
                    let at = after(now, *started);
                    error = Some(UpstreamFailure::from_answer(200, headers, data, at));
                }
            }
            Ok(())
        });
        if let Some(failure) = error {
            return Err(self.failure(&failure));
        }
        // Bytes after the end of the message are ignored, even if they are invalid.
        if self.message.is_whole() {
            return Ok(true);
        }
        read.map(|()| false).map_err(|malformed| self.unusable(malformed))
    }

    fn end(self) -> CallItem {
        let (usage, terms) = self.message.bill();
        if let Some(words) = self.message.refusal() {
            let failure = CallFailure {
                status: Some(200),
                usage,
                terms,
                origin: Origin::of(&self.headers),
                limits: RateLimits::of(&self.headers),
                ..CallFailure::bare(FailureClass::Refusal, &words)
            };
            return CallItem::Failed(Box::new(failure));
        }
        CallItem::Ended(Box::new(CallEnd {
            stop_reason: self.message.stop_reason(),
            usage,
            terms,
            thinking_bytes: self.message.thinking_bytes,
            origin: Origin::of(&self.headers),
            limits: RateLimits::of(&self.headers),
        }))
    }

    fn unusable(&self, malformed: Malformed) -> Box<CallFailure> {
        self.failure(&UpstreamFailure { class: Cause::Malformed(malformed), ..late() })
    }

    fn failure(&self, failure: &UpstreamFailure) -> Box<CallFailure> {
        let failure = UpstreamFailure {
            status: Some(200),
            origin: Origin::of(&self.headers),
            ..failure.clone()
        };
        Box::new(CallFailure::of(failure, self.message.usage(), RateLimits::of(&self.headers)))
    }
}

/// Takes an event's name and data.
type Each<'a> = dyn FnMut(Option<&[u8]>, &[u8]) -> Result<(), Malformed> + 'a;

fn is_event_stream(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("text/event-stream")
}

/// Whether the answer says that it is no stream of events. One that doesn't say what it is, is
/// read.
fn is_something_else(headers: &HeaderMap) -> bool {
    let kind = content_type(headers);
    // What can be unpacked has lost this header by now.
    let is_packed = headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    is_packed || kind.contains("html") || kind.contains("json") || kind.contains("xml")
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim_start().to_ascii_lowercase()
}

fn after(now: Timestamp, started: Instant) -> Timestamp {
    now.plus_ms(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}
