//! What the operator learns of a failed call: one line at warn and one count by class, without a
//! word of upstream's.

use super::raw::{RawUpstream, events, refusal};
use super::secret;
use crate::harness::environment::NOW;
use claviger::anthropic::client::{AnthropicClient, AnthropicConfig};
use claviger::anthropic::report::Reports;
use claviger::anthropic::stream::{MessageRequest, StreamLimits};
use claviger::system::metrics::Metrics;
use claviger_domain::orchestration::Block;
use futures::StreamExt as _;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const REFUSED: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"WORDS of theirs"},"request_id":"req_seen"}"#;

#[tokio::test]
async fn each_failed_call_is_one_line_and_one_count_by_its_class() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(captured.clone())
        .finish();
    // With a single dispatcher alive, tracing asks the thread that comes by first whether anybody
    // listens, and other tests' threads say no for good. With two it asks both.
    let _second =
        tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let _guard = tracing::subscriber::set_default(subscriber);
    let metrics = Metrics::default();
    let refusal_of_the_model = include_bytes!("../fixtures/cases/B06-refusal-before-output.sse");
    let cut = include_bytes!("../fixtures/cases/B08-ends-in-mid-answer.sse");
    for (answer, class) in [
        (refusal(400, &[("content-type", "application/json")], REFUSED), Some("request")),
        (refusal(401, &[("content-type", "text/html")], "<html>WORDS</html>"), Some("between")),
        (include_bytes!("../fixtures/cases/B11-529.http").to_vec(), Some("overloaded")),
        (events(cut), Some("connection")),
        (events(refusal_of_the_model), None),
        (events(include_bytes!("../fixtures/cases/B14-split-surrogates.sse")), None),
    ] {
        captured.0.lock().unwrap().clear();
        let before = counted(&metrics, class);
        let upstream = RawUpstream::start(answer).await;
        let counts = metrics.clone();
        let client = AnthropicClient::new(&AnthropicConfig {
            base_url: upstream.base_url().to_owned(),
            ..AnthropicConfig::default()
        })
        .unwrap()
        .reporting(Reports::to(move |class| counts.upstream_failed(class)));
        let request = MessageRequest {
            model: "claude-haiku-5-5".to_owned(),
            max_tokens: 10,
            system: None,
            blocks: vec![Block::Text { text: "Hi".to_owned() }],
            schema: None,
        };
        let key = secret("sk-ant-api03-abcdefgh");
        let items = client.messages(&key, &request, StreamLimits::default(), NOW);
        assert!(items.count().await > 0);
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        match class {
            None => assert!(lines.is_empty(), "{log}"),
            Some(class) => {
                let [line] = lines[..] else { panic!("{class}: {log}") };
                assert!(
                    line.contains("WARN") && line.contains(&format!("class=\"{class}\"")),
                    "{line}"
                );
                assert!(!line.contains("WORDS") && !line.contains("sk-ant"), "{line}");
                assert_eq!(line.contains("req_seen"), class == "request", "{line}");
                assert_eq!(counted(&metrics, Some(class)), before + 1, "{class}");
            }
        }
        // A short call is reported as well.
        let failed = client.first_model(&key, NOW).await.is_err();
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let more = usize::from(failed);
        assert_eq!(log.lines().count(), lines.len() + more, "{log}");
    }
}

fn counted(metrics: &Metrics, class: Option<&str>) -> u64 {
    let name =
        format!("claviger_upstream_failures_total{{class=\"{}\"}} ", class.unwrap_or("none"));
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
    line.map_or(0, |count| count.parse().unwrap())
}
