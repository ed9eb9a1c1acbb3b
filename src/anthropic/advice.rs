//! The sentence that explains to a person what a key test showed and what to do next, and after it
//! Anthropic's own reason, if it gave one.

use super::error::{Between, FailureClass, Malformed, UpstreamFailure};
use claviger_domain::key_test::KeyTestLevel;

pub(super) fn on_success(level: KeyTestLevel, model: &str) -> String {
    match level {
        KeyTestLevel::Authentic => {
            "Anthropic accepts this key: run a FULL test to see whether it has credit.".to_owned()
        }
        KeyTestLevel::Model => format!(
            "Anthropic accepts this key for {model}: run a FULL test to see whether it has credit."
        ),
        KeyTestLevel::Full => format!(
            "The key works and has credit: it just answered with {model}, so there is nothing to do."
        ),
    }
}

pub(super) fn on_failure(level: KeyTestLevel, model: &str, failure: &UpstreamFailure) -> String {
    let ours = ours(level, model, failure);
    match &failure.reason {
        Some(reason) => format!("{ours} Anthropic's reason: {}", reason.0),
        None => ours,
    }
}

fn ours(level: KeyTestLevel, model: &str, failure: &UpstreamFailure) -> String {
    if let Some(sentence) = particular(level, model, failure) {
        return sentence;
    }
    let general = sentence(failure.class);
    // For an inconclusive test, the status helps to find the cause.
    failure.status.map_or_else(
        || general.to_owned(),
        |status| {
            general.replacen(
                ", which says nothing",
                &format!(" (HTTP {status}), which says nothing"),
                1,
            )
        },
    )
}

/// The sentence, where it depends on more than the failure class.
fn particular(level: KeyTestLevel, model: &str, failure: &UpstreamFailure) -> Option<String> {
    let asked_model = level != KeyTestLevel::Authentic;
    if let FailureClass::RateLimited { until: Some(until) } = failure.class {
        Some(format!(
            "Anthropic is limiting the rate of this key's organisation: test again after {until}."
        ))
    } else if let FailureClass::SpendLimit { until } = failure.class {
        Some(format!(
            "This key's organisation or workspace has reached its spend limit: raise the limit in the Anthropic Console, or wait until {until}."
        ))
    } else if failure.class == FailureClass::Permission && asked_model {
        Some(format!(
            "This key may not use {model}: allow the model for its workspace in the Anthropic Console, or choose another one."
        ))
    } else if failure.class == FailureClass::NoModel && asked_model {
        Some(format!("The model {model} does not exist for this key: choose another one."))
    } else {
        None
    }
}

fn sentence(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Authentication => {
            "Anthropic doesn't accept this key, because it is wrong, revoked or expired: make a new one in the Anthropic Console and replace the secret."
        }
        FailureClass::Billing => {
            "This key is genuine, but there is no credit behind it: add credit under Billing in the Anthropic Console, then test again."
        }
        FailureClass::OnHold => {
            "This key is genuine, but Anthropic has put its organisation on hold: ask Anthropic's support to lift that, then test again."
        }
        FailureClass::Permission => {
            "This key is genuine, but it may not list models: run a MODEL or FULL test to see what it may use."
        }
        FailureClass::Disabled => {
            "This key is genuine, but Anthropic has disabled its organisation or workspace: ask Anthropic's support, or use a key of another organisation."
        }
        FailureClass::NoModel => {
            "Anthropic does not know a model of this test, which says nothing about the key: choose another one, then test again."
        }
        FailureClass::Between(Between::Other) | FailureClass::Malformed(Malformed::Foreign) => {
            "Something between this server and Anthropic answered, which says nothing about the key: check the network, proxies and the configured upstream address, then test again."
        }
        FailureClass::Between(Between::Region) => {
            "Anthropic does not serve the region that this server calls from, which says nothing about the key: run the server, or its way out, in a supported region, then test again."
        }
        FailureClass::Between(Between::Address) => {
            "The upstream address does not serve this request, which says nothing about the key: check the configured upstream address, then test again."
        }
        FailureClass::Between(Between::Origin) => {
            "Something between this server and Anthropic made the request look like a browser's, which says nothing about the key: check the proxies for headers that they add, then test again."
        }
        FailureClass::RateLimited { .. } => {
            "Anthropic is limiting the rate of this key's organisation: test again in a minute."
        }
        FailureClass::SpendLimit { .. } => {
            "This key's organisation or workspace has reached its spend limit: raise the limit in the Anthropic Console."
        }
        FailureClass::InvalidRequest
        | FailureClass::Conflict
        | FailureClass::TooLarge
        | FailureClass::TooLong => {
            "Anthropic refused the test itself, which says nothing about the key: try another model, and report it with the request id if that does not help."
        }
        FailureClass::Overloaded => {
            "Anthropic is overloaded, which says nothing about the key: test again in a few minutes."
        }
        FailureClass::Server => {
            "Anthropic had an internal error, which says nothing about the key: test again in a minute."
        }
        FailureClass::Network => {
            "Anthropic could not be reached, which says nothing about the key: check the network and the configured upstream address, then test again."
        }
        FailureClass::Timeout => {
            "Anthropic did not answer in time, which says nothing about the key: check the network, then test again in a minute."
        }
        FailureClass::Malformed(Malformed::Cut) => {
            "Anthropic's answer was cut off, which says nothing about the key: check the network, then test again."
        }
        FailureClass::Malformed(Malformed::TooBig | Malformed::Unreadable) => {
            "Anthropic's answer cannot be read, which says nothing about the key: check the configured upstream address, then test again."
        }
        FailureClass::Malformed(Malformed::Redirect) => {
            "The upstream address answers with a redirect, which is never followed with a key and says nothing about the key: configure the final address, then test again."
        }
    }
}
