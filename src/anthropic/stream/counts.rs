//! The tokens of a message, and what else its price depends on.

use super::super::prices::Terms;
use super::json::{Count, Fields};
use claviger_domain::orchestration::Usage;

/// Counts are cumulative. A later one that is lower is not believed: nothing that was counted is
/// taken back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    cache_read: u64,
    /// Output as the message's end states it.
    last_output: Option<u64>,
    is_us_only: bool,
    /// Something was reported whose price is unknown, or can't be read.
    is_odd: bool,
}

impl Counts {
    /// The counts at the beginning of a message.
    pub(super) fn begin(&mut self, usage: Option<&Fields<'_>>) {
        if let Some(usage) = usage {
            self.take(usage);
        }
    }

    /// The counts at its end.
    pub(super) fn end(&mut self, usage: Option<&Fields<'_>>) {
        let Some(usage) = usage else { return };
        self.take(usage);
        if let Count::Known(output) = usage.count("output_tokens") {
            self.last_output = Some(output);
        }
    }

    fn take(&mut self, usage: &Fields<'_>) {
        let mut is_odd = false;
        let mut count = |fields: &Fields<'_>, name: &str, known: u64| match fields.count(name) {
            Count::Known(count) => known.max(count),
            Count::Absent => known,
            Count::Unreadable => {
                is_odd = true;
                known
            }
        };
        let whole = |name: &str, known: Option<u64>, count: u64| {
            if usage.has(name) { Some(count) } else { known }
        };
        let input = count(usage, "input_tokens", self.input.unwrap_or(0));
        self.input = whole("input_tokens", self.input, input);
        let output = count(usage, "output_tokens", self.output.unwrap_or(0));
        self.output = whole("output_tokens", self.output, output);
        self.cache_write = count(usage, "cache_creation_input_tokens", self.cache_write);
        self.cache_read = count(usage, "cache_read_input_tokens", self.cache_read);
        if let Some(writes) = usage.object("cache_creation") {
            self.cache_write_5m = count(&writes, "ephemeral_5m_input_tokens", self.cache_write_5m);
            self.cache_write_1h = count(&writes, "ephemeral_1h_input_tokens", self.cache_write_1h);
            is_odd |= writes.counts().into_iter().any(|(name, count)| {
                !matches!(name, "ephemeral_5m_input_tokens" | "ephemeral_1h_input_tokens")
                    && !is_nothing(count)
            });
        }
        self.is_odd |= is_odd | is_priced_otherwise(usage);
        match usage.text("inference_geo").as_deref() {
            Some("us") => self.is_us_only = true,
            None if usage.has("inference_geo") => self.is_odd = true,
            None | Some("" | "global" | "not_available") => {}
            Some(_) => self.is_odd = true,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let cache_write_1h = self.cache_write_1h;
        let rest = self.cache_write.saturating_sub(cache_write_1h);
        Usage {
            input: self.input.unwrap_or(0),
            output: self.output.unwrap_or(0),
            cache_write_5m: rest.max(self.cache_write_5m),
            cache_write_1h,
            cache_read: self.cache_read,
        }
    }

    /// The usage and the terms of a whole message.
    pub(super) fn bill(&self, is_refusal_without_content: bool) -> (Usage, Terms) {
        let usage = self.usage();
        if is_refusal_without_content && self.last_output == Some(0) {
            return (Usage { output: 0, ..usage }, Terms::Free);
        }
        let is_known = !self.is_odd && self.input.is_some() && self.last_output.is_some();
        let terms = match (is_known, self.is_us_only) {
            (false, _) => Terms::Unknown,
            (true, true) => Terms::UsOnly,
            (true, false) => Terms::Usual,
        };
        (usage, terms)
    }
}

fn is_nothing(count: Count) -> bool {
    matches!(count, Count::Absent | Count::Known(0))
}

/// Whether something costs more or less than the table's prices, none of which was asked for:
/// another service tier, another speed, tools of the server, or several passes in one message.
fn is_priced_otherwise(usage: &Fields<'_>) -> bool {
    let is_other = |name: &str| usage.has(name) && usage.text(name).as_deref() != Some("standard");
    let tools = usage.object("server_tool_use").unwrap_or_default();
    is_other("service_tier")
        || is_other("speed")
        || tools.counts().into_iter().any(|(_, count)| !is_nothing(count))
        || usage.list("iterations").len() > 1
}
