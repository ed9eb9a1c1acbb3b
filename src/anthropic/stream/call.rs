//! A streamed message over HTTP.

use super::super::client::{ANSWER_MAX, AnthropicClient, SHORT_ANSWER_MAX, read_capped};
use super::super::error::{FailureClass as Cause, Malformed, UpstreamFailure};
use super::super::headers::{Origin, RateLimits};
use super::item::{CallEnd, CallFailure, CallItem, CallStream};
use super::message::{Message, Progress};
use super::request::MessageRequest;
use crate::sse::decode::EventLines;
use claviger_domain::orchestration::FailureClass;
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use futures::{StreamExt as _, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
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
        stream::unfold(state, |mut call| async move { call.next().await.map(|item| (item, call)) })
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
    CallItem::Failed(Box::new(CallFailure::of(
        failure,
        claviger_domain::orchestration::Usage::default(),
        limits,
    )))
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
                Message::default().usage,
                limits,
            ))));
        }
        let is_stream = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !is_stream.is_some_and(|value| {
            value.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
        }) {
            let failure = UpstreamFailure::malformed(
                Malformed::Unreadable,
                status.as_u16(),
                Origin::of(&headers),
            );
            return Err(CallItem::Failed(Box::new(CallFailure::of(
                failure,
                Message::default().usage,
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
            Ok(Ok(None)) => Err(answering.unusable(Malformed::Cut)),
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
        let Self { lines, message, headers, started, .. } = self;
        let mut error = None;
        let pushed = lines.push(bytes, |data| {
            if message.is_whole() || error.is_some() {
                return Ok(());
            }
            match message.take(data)? {
                Progress::Item(item) => ready.push_back(item),
                Progress::Nothing | Progress::Stopped => {}
                Progress::Error => {
                    error = Some(UpstreamFailure::from_answer(
                        200,
                        headers,
                        data,
                        after(now, *started),
                    ));
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
        pushed.map(|()| false).map_err(|malformed| self.unusable(malformed))
    }

    fn end(self) -> CallItem {
        let Some(stop_reason) = self.message.stop_reason() else {
            let failure = CallFailure {
                status: Some(200),
                usage: self.message.usage,
                origin: Origin::of(&self.headers),
                limits: RateLimits::of(&self.headers),
                ..CallFailure::bare(FailureClass::Refusal, "the model refused to answer")
            };
            return CallItem::Failed(Box::new(failure));
        };
        CallItem::Ended(Box::new(CallEnd {
            stop_reason,
            usage: self.message.usage,
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
        Box::new(CallFailure::of(failure, self.message.usage, RateLimits::of(&self.headers)))
    }
}

fn after(now: Timestamp, started: Instant) -> Timestamp {
    now.plus_ms(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}
