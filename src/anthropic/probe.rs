//! The test of a key: one call, one verdict. Never a second call, and no failure with another cause
//! is held against the key.

use super::advice;
use super::client::{Answer, AnthropicClient};
use super::error::{FailureClass, Origin, UpstreamFailure};
use super::models::{builtin_models, cheapest_model};
use super::prices::PriceTable;
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::secret::SecretText;
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// The result of a key test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTestOutcome {
    pub verdict: KeyVerdict,
    /// Content: a sentence for a person, and upstream's ids.
    pub notes: KeyTestNotes,
    /// The model that was called, at the levels that need one.
    pub model_tested: Option<String>,
}

/// The result of the test's only call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// A valid 200, or the failure.
    pub result: Result<Answer<()>, UpstreamFailure>,
    /// From sending the request to the end of the response, in milliseconds.
    pub duration_ms: u64,
}

/// Tests keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyProbe {
    client: AnthropicClient,
    prices: Arc<PriceTable>,
}

impl KeyProbe {
    /// A probe that calls the cheapest model of these prices when the test names none.
    pub fn new(client: AnthropicClient, prices: Arc<PriceTable>) -> Self {
        Self { client, prices }
    }

    /// Makes exactly one call and judges it. Always returns an outcome: a result that shows nothing
    /// about the key is INCONCLUSIVE.
    pub async fn test(
        &self,
        secret: &SecretText,
        level: KeyTestLevel,
        model: Option<&ModelId>,
        now: Timestamp,
    ) -> KeyTestOutcome {
        let asks = level != KeyTestLevel::Authentic;
        let model = if asks { model.cloned().or_else(|| self.usual_model(now)) } else { None };
        let started = Instant::now();
        let result = match (level, &model) {
            (KeyTestLevel::Model, Some(model)) => {
                self.client.count_tokens(secret, model, now).await.map(|answer| answer.map(|_| ()))
            }
            (KeyTestLevel::Full, Some(model)) => self.client.one_token(secret, model, now).await,
            (KeyTestLevel::Authentic, _) | (KeyTestLevel::Model | KeyTestLevel::Full, None) => {
                self.client.first_model(secret, now).await
            }
        };
        // Without a model, the call was of the lowest level and shows no more than that.
        let level = if model.is_some() { level } else { KeyTestLevel::Authentic };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (verdict, notes) = judge(level, model.as_ref(), &ProbeAnswer { result, duration_ms });
        KeyTestOutcome {
            verdict,
            notes,
            model_tested: model.map(|model| model.as_str().to_owned()),
        }
    }

    /// The cheapest model; if an operator's table prices no built-in model, the first of them.
    fn usual_model(&self, now: Timestamp) -> Option<ModelId> {
        cheapest_model(&self.prices, now)
            .or_else(|| builtin_models().into_iter().next().map(|model| model.id))
    }
}

/// The table of verdicts, as a pure function.
pub fn judge(
    level: KeyTestLevel,
    model: Option<&ModelId>,
    answer: &ProbeAnswer,
) -> (KeyVerdict, KeyTestNotes) {
    let name = model.map_or("the model", ModelId::as_str);
    let (row, upstream_status, origin, message) = match &answer.result {
        Ok(good) => {
            (on_success(level), Some(good.status), &good.origin, advice::on_success(level, name))
        }
        Err(failure) => (
            on_failure(level, failure),
            failure.status,
            &failure.origin,
            advice::on_failure(level, name, failure),
        ),
    };
    let verdict = KeyVerdict {
        status: row.status,
        authentic: row.authentic,
        has_credit: row.has_credit,
        model_allowed: row.model_allowed,
        rate_limited_until: row.until,
        upstream_status,
        duration_ms: answer.duration_ms,
    };
    (verdict, notes(message, origin))
}

fn notes(message: String, origin: &Origin) -> KeyTestNotes {
    KeyTestNotes {
        message,
        organization_id: origin.organization_id.clone(),
        workspace_id: origin.workspace_id.clone(),
        upstream_request_id: origin.request_id.clone(),
    }
}

/// One row of the table.
struct Row {
    status: KeyTestStatus,
    authentic: Verdict,
    has_credit: Verdict,
    model_allowed: Verdict,
    until: Option<Timestamp>,
}

impl Row {
    fn new(
        status: KeyTestStatus,
        authentic: Verdict,
        has_credit: Verdict,
        model_allowed: Verdict,
    ) -> Self {
        Self { status, authentic, has_credit, model_allowed, until: None }
    }
}

fn on_success(level: KeyTestLevel) -> Row {
    use Verdict::{Unknown, Yes};
    let (has_credit, model_allowed) = match level {
        KeyTestLevel::Authentic => (Unknown, Unknown),
        KeyTestLevel::Model => (Unknown, Yes),
        KeyTestLevel::Full => (Yes, Yes),
    };
    Row::new(KeyTestStatus::Success, Yes, has_credit, model_allowed)
}

fn on_failure(level: KeyTestLevel, failure: &UpstreamFailure) -> Row {
    use KeyTestStatus::{Failed, Inconclusive};
    use Verdict::{No, Unknown, Yes};
    let asked_model = level != KeyTestLevel::Authentic;
    match failure.class {
        FailureClass::Authentication => Row::new(Failed, No, Unknown, Unknown),
        FailureClass::Billing | FailureClass::OnHold => Row::new(Failed, Yes, No, Unknown),
        FailureClass::SpendLimit { until } => {
            // Only the 429 is a rate limit that ends by itself; the 400 is the organisation's own
            // setting.
            let until = (failure.status == Some(429)).then_some(until);
            Row { until, ..Row::new(Failed, Yes, No, Unknown) }
        }
        FailureClass::Permission | FailureClass::NoModel if asked_model => {
            Row::new(Failed, Yes, Unknown, No)
        }
        FailureClass::Permission => Row::new(Inconclusive, Yes, Unknown, Unknown),
        FailureClass::Disabled => Row::new(Failed, Yes, Unknown, Unknown),
        FailureClass::RateLimited { until } => {
            Row { until, ..Row::new(Inconclusive, Yes, Unknown, Unknown) }
        }
        FailureClass::NoModel
        | FailureClass::InvalidRequest
        | FailureClass::Conflict
        | FailureClass::TooLarge
        | FailureClass::TooLong
        | FailureClass::Between(_)
        | FailureClass::Overloaded
        | FailureClass::Server
        | FailureClass::Network
        | FailureClass::Timeout
        | FailureClass::Malformed(_) => Row::new(Inconclusive, Unknown, Unknown, Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{Between, Malformed};
    use super::*;
    use KeyTestLevel::{Authentic, Full, Model};
    use KeyTestStatus::{Failed, Inconclusive, Success};
    use Verdict::{No, Unknown, Yes};
    use reqwest::header::HeaderMap;

    const NOW: Timestamp = Timestamp(1_795_446_000_000);
    const LEVELS: [KeyTestLevel; 3] = [Authentic, Model, Full];

    type Expected = (KeyTestStatus, Verdict, Verdict, Verdict);

    fn judged(
        level: KeyTestLevel,
        result: Result<Answer<()>, UpstreamFailure>,
    ) -> (KeyVerdict, KeyTestNotes) {
        let model = ModelId::parse("claude-haiku-5-5").unwrap();
        judge(level, Some(&model), &ProbeAnswer { result, duration_ms: 12 })
    }

    fn row(verdict: &KeyVerdict) -> Expected {
        (verdict.status, verdict.authentic, verdict.has_credit, verdict.model_allowed)
    }

    fn answered(status: u16, kind: &str, message: &str, code: Option<&str>) -> UpstreamFailure {
        let details = code.map(|code| serde_json::json!({"error_code": code}));
        let body = serde_json::json!({"type": "error", "error": {"type": kind, "message": message, "details": details}});
        let headers: HeaderMap = [("retry-after", "7"), ("request-id", "req_1")]
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .into_iter()
            .collect();
        UpstreamFailure::from_answer(status, &headers, body.to_string().as_bytes(), NOW)
    }

    #[test]
    fn a_successful_answer_shows_what_its_level_can_show() {
        let good = || Ok(Answer { status: 200, origin: Origin::default(), body: () });
        for (level, expected) in [
            (Authentic, (Success, Yes, Unknown, Unknown)),
            (Model, (Success, Yes, Unknown, Yes)),
            (Full, (Success, Yes, Yes, Yes)),
        ] {
            let (verdict, _) = judged(level, good());
            assert_eq!(row(&verdict), expected, "{level:?}");
            assert_eq!(
                (verdict.upstream_status, verdict.duration_ms, verdict.rate_limited_until),
                (Some(200), 12, None)
            );
        }
    }

    #[test]
    fn every_refusal_has_its_row() {
        let nothing = (Inconclusive, Unknown, Unknown, Unknown);
        let no_credit = (Failed, Yes, No, Unknown);
        let no_model = (Failed, Yes, Unknown, No);
        let known = (Inconclusive, Yes, Unknown, Unknown);
        let disabled = (Failed, Yes, Unknown, Unknown);
        let credit = "Your credit balance is too low to access the Anthropic API.";
        let own = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.";
        for (status, message, code, authentic, others) in [
            (
                401,
                "invalid x-api-key",
                None,
                (Failed, No, Unknown, Unknown),
                (Failed, No, Unknown, Unknown),
            ),
            (402, "", None, no_credit, no_credit),
            (400, credit, None, no_credit, no_credit),
            (400, own, None, no_credit, no_credit),
            (400, "", Some("organization_on_hold"), no_credit, no_credit),
            (403, "", None, known, no_model),
            (404, "model: claude-haiku-5-5", None, nothing, no_model),
            (404, "Not Found", None, nothing, nothing),
            (400, "This organization has been disabled.", None, disabled, disabled),
            (403, "This organization has been disabled.", None, disabled, disabled),
            (403, "Request not allowed", None, nothing, nothing),
            (401, "CORS requests are not allowed", None, nothing, nothing),
            (400, "prompt is too long: 9 tokens > 8 maximum", None, nothing, nothing),
            (429, "", None, known, known),
            (429, "", Some("enforced_spend_limit_reached"), no_credit, no_credit),
            (429, "", Some("contract_spend_limit_reached"), no_credit, no_credit),
            (400, "max_tokens: too small", None, nothing, nothing),
            (409, "", None, nothing, nothing),
            (413, "", None, nothing, nothing),
            (418, "", None, nothing, nothing),
            (500, "", None, nothing, nothing),
            (503, "", None, nothing, nothing),
            (504, "", None, nothing, nothing),
            (529, "", None, nothing, nothing),
            (302, "", None, nothing, nothing),
        ] {
            for level in LEVELS {
                let (verdict, notes) =
                    judged(level, Err(answered(status, "some_error", message, code)));
                let expected = if level == Authentic { authentic } else { others };
                assert_eq!(row(&verdict), expected, "{status} {message} {code:?} at {level:?}");
                assert_eq!(verdict.upstream_status, Some(status));
                assert_eq!(notes.upstream_request_id.as_deref(), Some("req_1"));
            }
        }
    }

    #[test]
    fn a_missing_or_malformed_answer_shows_nothing() {
        let failure =
            |class| UpstreamFailure { class, status: None, ..answered(500, "", "", None) };
        let malformed = [
            Malformed::Cut,
            Malformed::TooBig,
            Malformed::Unreadable,
            Malformed::Foreign,
            Malformed::Redirect,
        ]
        .map(FailureClass::Malformed);
        let between = [Between::Other, Between::Region, Between::Address, Between::Origin]
            .map(FailureClass::Between);
        let none = [FailureClass::Network, FailureClass::Timeout];
        for class in none.into_iter().chain(malformed).chain(between) {
            for level in LEVELS {
                let (verdict, _) = judged(level, Err(failure(class)));
                assert_eq!(row(&verdict), (Inconclusive, Unknown, Unknown, Unknown), "{class:?}");
            }
        }
    }

    #[test]
    fn only_a_rate_limit_has_an_end() {
        let until = |status, message, code| {
            judged(Full, Err(answered(status, "e", message, code))).0.rate_limited_until
        };
        let december = Timestamp::parse("2026-12-01T00:00:00Z");
        assert_eq!(until(429, "", None), Some(NOW.plus_ms(7000)));
        assert_eq!(until(429, "", Some("enforced_spend_limit_reached")), december);
        assert_eq!(until(400, "You have reached your specified API usage limits.", None), None);
        assert_eq!(until(503, "", None), None);
    }

    #[test]
    fn each_message_is_one_sentence_of_ours_and_anthropics_reason() {
        let spend = Some("enforced_spend_limit_reached");
        for (status, code) in [400, 401, 402, 403, 404, 409, 413, 429, 500, 529, 302]
            .into_iter()
            .flat_map(|status| [None, spend].map(|code| (status, code)))
        {
            for level in LEVELS {
                let said = "WORDS of a model for sk-ant-api03-abc";
                let (_, notes) = judged(level, Err(answered(status, "e", said, code)));
                let (ours, reason) = notes.message.split_once(" Anthropic's reason: ").unwrap();
                assert!(
                    ours.ends_with('.') && ours.contains(": ") && !ours.contains(". "),
                    "{ours}"
                );
                assert_eq!(reason, "WORDS of a model for [removed]");
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_anthropics_says_nothing_about_the_key() {
        let html = b"<html><body>Please sign in to the network</body></html>";
        for status in [400, 401, 402, 403, 404, 405, 407, 429, 451, 500, 502, 503, 529] {
            for level in LEVELS {
                let failure = UpstreamFailure::from_answer(status, &HeaderMap::new(), html, NOW);
                let (verdict, notes) = judged(level, Err(failure));
                assert_eq!(row(&verdict), (Inconclusive, Unknown, Unknown, Unknown), "{status}");
                assert_eq!(verdict.rate_limited_until, None);
                let is_address = matches!(status, 404 | 405);
                let words = if is_address { "The upstream address" } else { "Something between" };
                assert!(notes.message.starts_with(words), "{}", notes.message);
                assert!(notes.message.contains(&format!("(HTTP {status})")), "{}", notes.message);
                assert!(!notes.message.contains("sign in"), "{}", notes.message);
            }
        }
    }
}
