//! The corpus of streams that Anthropic's own clients are compared with (`ops/anthropic-sdk`): what
//! this client makes of each, whole and byte by byte.

use super::raw::{RawUpstream, ok};
use super::secret;
use crate::harness::environment::NOW;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger::anthropic::client::{AnthropicClient, AnthropicConfig};
use claviger::anthropic::prices::Terms;
use claviger::anthropic::stream::{CallItem, MessageRequest, StreamLimits};
use claviger_domain::orchestration::{Block, Usage};
use futures::StreamExt as _;
use serde::Deserialize;

const CORPUS: &str = include_str!("../../../ops/anthropic-sdk/corpus.json");

#[derive(Deserialize)]
struct Stream {
    name: String,
    #[serde(default)]
    lines: Vec<String>,
    base64: Option<String>,
    encoding: Option<String>,
    /// Empty: none at all.
    content_type: Option<String>,
    eol: Option<String>,
    #[serde(default)]
    open: bool,
    fails: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    usage: Usage,
    stop: Option<String>,
    terms: Option<String>,
    typescript: String,
    python: String,
    stricter: Option<String>,
}

impl Stream {
    fn answer(&self) -> Vec<u8> {
        let body = if let Some(text) = &self.base64 {
            STANDARD.decode(text).unwrap()
        } else {
            let eol = self.eol.as_deref().unwrap_or("\n");
            let end = if self.open { "" } else { eol };
            format!("{}{end}", self.lines.join(eol)).into_bytes()
        };
        let mut headers = vec![("request-id", "req_corpus")];
        let kind = self.content_type.as_deref().unwrap_or("text/event-stream; charset=utf-8");
        if !kind.is_empty() {
            headers.push(("content-type", kind));
        }
        headers.extend(self.encoding.as_deref().map(|coding| ("content-encoding", coding)));
        ok(&headers, &body)
    }
}

pub(super) async fn called(answer: Vec<u8>) -> Vec<CallItem> {
    let upstream = RawUpstream::start(answer).await;
    let config =
        AnthropicConfig { base_url: upstream.base_url().to_owned(), ..AnthropicConfig::default() };
    let request = MessageRequest {
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: 1000,
        system: None,
        blocks: vec![Block::Text { text: "Say hi".to_owned() }],
        schema: None,
    };
    let client = AnthropicClient::new(&config).unwrap();
    let key = secret("sk-ant-api03-corpus");
    let items = client.messages(&key, &request, StreamLimits::default(), NOW).collect().await;
    assert_eq!(upstream.served(), 1);
    items
}

pub(super) fn text_of(items: &[CallItem]) -> String {
    let text =
        |item: &CallItem| if let CallItem::Text(text) = item { Some(text.clone()) } else { None };
    items.iter().filter_map(text).collect()
}

fn check(stream: &Stream, items: &[CallItem]) {
    let name = &stream.name;
    match items.last() {
        Some(CallItem::Ended(end)) => {
            assert_eq!(stream.fails, None, "{name}");
            assert_eq!(text_of(items), stream.text, "{name}");
            assert_eq!(end.usage, stream.usage, "{name}");
            assert_eq!(Some(end.stop_reason.as_str()), stream.stop.as_deref(), "{name}");
            let terms = match stream.terms.as_deref() {
                None => Terms::Usual,
                Some("us") => Terms::UsOnly,
                Some("unknown") => Terms::Unknown,
                Some(other) => panic!("{other}"),
            };
            assert_eq!(end.terms, terms, "{name}");
        }
        Some(CallItem::Failed(failure)) => {
            assert_eq!(Some(failure.class.as_str()), stream.fails.as_deref(), "{name} {failure:?}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn every_stream_of_the_corpus_is_read_as_it_says() {
    let corpus: Vec<Stream> = serde_json::from_str(CORPUS).unwrap();
    assert!(corpus.len() > 90);
    for stream in &corpus {
        check(stream, &called(stream.answer()).await);
        // What an SDK reads, we read.
        let is_read = [&stream.typescript, &stream.python].iter().any(|does| *does == "reads");
        let is_failure = stream.fails.as_deref().is_some_and(|class| class != "refusal");
        assert!(!(is_read && is_failure) || stream.stricter.is_some(), "{}", stream.name);
    }
}

#[tokio::test]
async fn what_is_packed_small_and_unpacks_large_is_given_up() {
    let packed = include_bytes!("../fixtures/hundred-mib-of-pings.br");
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "br")];
    let items = called(ok(&headers, packed)).await;
    let [CallItem::Failed(failure)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(failure.class.as_str(), "protocol");
    // What can't be unpacked isn't guessed at.
    for coding in ["zstd", "x-brand-new"] {
        let items = called(ok(&[headers[0], ("content-encoding", coding)], packed)).await;
        let [CallItem::Failed(failure)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(failure.class.as_str(), "between", "{coding}");
    }
}
