//! What each scenario does on each endpoint, as a function of the call.

use super::counts::Endpoint;
use super::keys::Scenario;
use super::script::{Act, Ending, Fault, Raw, Refusal, Reply};
use claviger_domain::timestamp::Timestamp;

/// The parts of a call that a scenario depends on.
pub(super) struct Situation<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) key: &'a str,
    pub(super) model: &'a str,
    pub(super) now: Timestamp,
    /// The `retry-after` of a rate-limited key, in seconds.
    pub(super) retry_after_s: u64,
    /// Whether this is the key's first call to this endpoint.
    pub(super) first: bool,
}

/// The calls that a refusal applies to.
#[derive(Clone, Copy)]
enum On {
    Any,
    /// Calls that name a model.
    Named,
    /// Calls that count or generate tokens.
    Tokens,
    /// Calls that cost money.
    Message,
    /// The first call that costs money.
    FirstMessage,
}

impl On {
    fn meets(self, at: &Situation<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Named => {
                matches!(at.endpoint, Endpoint::Model | Endpoint::CountTokens | Endpoint::Messages)
            }
            Self::Tokens => matches!(at.endpoint, Endpoint::CountTokens | Endpoint::Messages),
            Self::Message => at.endpoint == Endpoint::Messages,
            Self::FirstMessage => at.endpoint == Endpoint::Messages && at.first,
        }
    }
}

type Rule = (Scenario, On, u16, &'static str, &'static str, Option<&'static str>);

const INVALID: &str = "invalid_request_error";
const LIMIT: &str = "rate_limit_error";
const RATE: &str =
    "This request would exceed your organization's rate limit of 50 requests per minute.";
const SPENT: &str = "Your organization has reached its spend limit for this month.";

/// The refusals, with the API's own messages; `{model}` and `{month}` (the first of the next month)
/// are filled in.
const RULES: [Rule; 21] = [
    (Scenario::Revoked, On::Any, 401, "authentication_error", "invalid x-api-key", None),
    (
        Scenario::NoCredit400,
        On::Message,
        400,
        INVALID,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        None,
    ),
    (
        Scenario::NoCredit402,
        On::Message,
        402,
        "billing_error",
        "Your organization has no credit left.",
        None,
    ),
    (
        Scenario::SpendLimit400,
        On::Message,
        400,
        INVALID,
        "You have reached your specified API usage limits. You will regain access on {month} at 00:00 UTC.",
        None,
    ),
    (
        Scenario::WorkspaceLimit400,
        On::Message,
        400,
        INVALID,
        "You have reached your specified workspace API usage limits. You will regain access on {month} at 00:00 UTC.",
        None,
    ),
    (
        Scenario::OnHold,
        On::Tokens,
        400,
        INVALID,
        "This organization is on hold.",
        Some("organization_on_hold"),
    ),
    (
        Scenario::ForbiddenModel,
        On::Named,
        403,
        "permission_error",
        "Your API key does not have permission to use the model {model}.",
        None,
    ),
    (Scenario::UnknownModel, On::Named, 404, "not_found_error", "model: {model}", None),
    (Scenario::RateLimited, On::Any, 429, LIMIT, RATE, None),
    (Scenario::RateLimitedDate, On::Any, 429, LIMIT, RATE, None),
    (Scenario::RateLimitedReset, On::Any, 429, LIMIT, RATE, None),
    (Scenario::SpendLimit429, On::Message, 429, LIMIT, SPENT, Some("enforced_spend_limit_reached")),
    (
        Scenario::ContractLimit429,
        On::Message,
        429,
        LIMIT,
        SPENT,
        Some("contract_spend_limit_reached"),
    ),
    (
        Scenario::Conflict,
        On::Any,
        409,
        "conflict_error",
        "The request conflicts with another one.",
        None,
    ),
    (
        Scenario::TooLarge,
        On::Any,
        413,
        "request_too_large",
        "Request exceeds the maximum size",
        None,
    ),
    (
        Scenario::BadRequest,
        On::Any,
        400,
        INVALID,
        "prompt is too long: 200001 tokens > 200000 maximum",
        None,
    ),
    (Scenario::Server500, On::Any, 500, "api_error", "Internal server error", None),
    (Scenario::Server503, On::Any, 503, "api_error", "Service unavailable", None),
    (Scenario::Server504, On::Any, 504, "timeout_error", "The request timed out", None),
    (Scenario::Overloaded, On::Any, 529, "overloaded_error", "Overloaded", None),
    (Scenario::Flaky, On::FirstMessage, 529, "overloaded_error", "Overloaded", None),
];

/// Responses that Anthropic's API would not send.
const FAULTS: [(Scenario, Fault); 8] = [
    (Scenario::Cut, Fault::Cut),
    (Scenario::Reset, Fault::Reset),
    (Scenario::Hang, Fault::Hang),
    (Scenario::Redirect, Fault::Redirect),
    (Scenario::WrongType, Fault::WrongType),
    (Scenario::Garbage, Fault::Garbage),
    (Scenario::Huge, Fault::Huge),
    (Scenario::Slow, Fault::Slow),
];

/// The act for a well-formed call.
pub(super) fn act(scenario: Scenario, at: &Situation<'_>) -> Act {
    if let Some(rule) = RULES.iter().find(|rule| rule.0 == scenario && rule.1.meets(at)) {
        return Act::Refuse(refusal(rule, at));
    }
    if let Some((_, fault)) = FAULTS.iter().find(|(of, _)| *of == scenario) {
        return Act::Fault(*fault);
    }
    if scenario == Scenario::Echo {
        return Act::Raw(echo(at.key));
    }
    let mut reply = Reply::default();
    if scenario == Scenario::StreamCut || scenario == Scenario::StreamCutOnce && at.first {
        reply.ending = Ending::CutAfter(2);
    } else if scenario == Scenario::StreamError {
        reply.ending = Ending::ErrorAfter(2);
    } else if scenario == Scenario::Split {
        reply.split_bytes = 3;
    } else if scenario == Scenario::Refusal {
        reply.stop_reason = Some("refusal".to_owned());
    } else if scenario == Scenario::MaxTokens {
        reply.stop_reason = Some("max_tokens".to_owned());
    }
    Act::Reply(reply)
}

fn refusal(rule: &Rule, at: &Situation<'_>) -> Refusal {
    let &(scenario, _, status, kind, message, code) = rule;
    let message = message.replace("{model}", at.model).replace("{month}", &next_month(at.now));
    let retry_after = if scenario == Scenario::RateLimited {
        Some(at.retry_after_s.to_string())
    } else if scenario == Scenario::RateLimitedDate {
        http_date(at.now.plus_ms(at.retry_after_s.saturating_mul(1000)))
    } else {
        None
    };
    Refusal { code, retry_after, spent: message == RATE, ..Refusal::new(status, kind, message) }
}

/// The first of the next month.
fn next_month(now: Timestamp) -> String {
    let today = now.to_datetime().date();
    let first = today.replace_day(1).unwrap_or(today);
    let length = time::Duration::days(i64::from(first.month().length(first.year())));
    first.checked_add(length).unwrap_or(first).to_string()
}

/// The API's refusal of an unknown model.
pub(super) fn unknown_model(model: &str) -> Refusal {
    Refusal::new(404, "not_found_error", format!("model: {model}"))
}

/// The worst that an upstream can do with a key: echo it everywhere.
fn echo(key: &str) -> Raw {
    let body = serde_json::json!({
        "type": "error",
        "error": {"type": key, "message": format!("invalid x-api-key: {key}"), "details": {"error_code": key}},
        "request_id": key,
    });
    let headers =
        ["request-id", "anthropic-organization-id", "anthropic-workspace-id", "retry-after"];
    Raw {
        status: 400,
        headers: headers.map(|name| (name, key.to_owned())).to_vec(),
        body: body.to_string().into_bytes(),
    }
}

/// An HTTP date (RFC 9110, 5.6.7).
fn http_date(at: Timestamp) -> Option<String> {
    let text = at.to_datetime().format(&time::format_description::well_known::Rfc2822).ok()?;
    Some(text.replace("+0000", "GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(endpoint: Endpoint, first: bool) -> Situation<'static> {
        // 2026-12-31T23:59:59Z.
        Situation {
            endpoint,
            key: "k",
            model: "claude-x",
            now: Timestamp(1_798_761_599_000),
            retry_after_s: 30,
            first,
        }
    }

    #[test]
    fn every_scenario_does_something_of_its_own() {
        let mut seen = Vec::new();
        for &scenario in Scenario::ALL {
            let acts = [true, false].map(|first| {
                [Endpoint::Models, Endpoint::Model, Endpoint::CountTokens, Endpoint::Messages]
                    .map(|endpoint| act(scenario, &situation(endpoint, first)))
            });
            assert!(!seen.contains(&acts), "{}", scenario.name());
            seen.push(acts);
        }
    }

    #[test]
    fn the_placeholders_of_a_refusal_are_filled() {
        let at = situation(Endpoint::Messages, true);
        let Act::Refuse(limit) = act(Scenario::SpendLimit400, &at) else { panic!("no refusal") };
        assert!(limit.message.ends_with("on 2027-01-01 at 00:00 UTC."), "{}", limit.message);
        let Act::Refuse(limit) = act(Scenario::RateLimitedDate, &at) else { panic!("no refusal") };
        assert_eq!(limit.retry_after.as_deref(), Some("Fri, 01 Jan 2027 00:00:29 GMT"));
        let Act::Refuse(unknown) = act(Scenario::UnknownModel, &at) else { panic!("no refusal") };
        assert_eq!(unknown, unknown_model("claude-x"));
    }
}
