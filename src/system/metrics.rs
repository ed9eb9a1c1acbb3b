//! The server's metrics, in Prometheus's text format (`OpenMetrics`). Labels are routes, names and
//! codes of this program. They never contain ids, addresses or user text, which would leak data and
//! grow without bound.

use claviger_domain::code::ErrorCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A gauge.
pub type Level = Gauge;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRoute {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Commanded {
    command: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCommand {
    command: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfView {
    view: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfFace {
    face: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

/// Buckets from half a millisecond to half a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 17))
}

/// What can't be done for now, and is tried again: runs and timers.
fn put_aside(registry: &mut Registry) -> [Level; 3] {
    let (runs, timers, rows) = (Level::default(), Level::default(), Level::default());
    registry.register(
        "runs_set_aside",
        "Runs that this process can't read or write for now, and tries again later",
        runs.clone(),
    );
    registry.register(
        "timers_put_off",
        "Timers that failed and are put off, such as the expiry of a key that can't be opened",
        timers.clone(),
    );
    registry.register(
        "rows_unreadable",
        "Rows of many owners' lists that this process passed over, because they cannot be decoded",
        rows.clone(),
    );
    [runs, timers, rows]
}

fn level(registry: &mut Registry, (name, help): (&str, &str)) -> Level {
    let level = Level::default();
    registry.register(name, help, level.clone());
    level
}

fn failures(registry: &mut Registry) -> Family<OfClass, Counter> {
    let failures = Family::default();
    let help = "Calls to Anthropic that failed, by class";
    registry.register("upstream_failures", help, failures.clone());
    failures
}

/// All metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Answered, Counter>,
    request_seconds: Family<OfRoute, Histogram, fn() -> Histogram>,
    commands: Family<Commanded, Counter>,
    command_seconds: Family<OfCommand, Histogram, fn() -> Histogram>,
    appends: Family<Ended, Counter>,
    append_seconds: Histogram,
    events: Counter,
    connections: Level,
    streams: Family<OfFace, Level>,
    lag: Family<OfView, Level>,
    quarantined: Family<OfView, Level>,
    upstream_failures: Family<OfClass, Counter>,
    runs_aside: Level,
    timers_put_off: Level,
    rows_unreadable: Level,
    memory: Level,
    held: Family<OfKind, Level>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("claviger");
        let requests = Family::default();
        registry.register("http_requests", "Requests served", requests.clone());
        let request_seconds: Family<OfRoute, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(seconds);
        registry.register(
            "http_request_seconds",
            "Seconds from a request's headers to its response's headers",
            request_seconds.clone(),
        );
        let commands = Family::default();
        registry.register(
            "key_commands",
            "Commands by outcome, OK or an error code",
            commands.clone(),
        );
        let command_seconds: Family<OfCommand, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(seconds);
        registry.register(
            "key_command_seconds",
            "Commands, from decision to durable commit",
            command_seconds.clone(),
        );
        let appends = Family::default();
        registry.register("appends", "Appends to the log by outcome", appends.clone());
        let append_seconds = seconds();
        registry.register(
            "append_seconds",
            "Appends to the log, from queueing to durable commit",
            append_seconds.clone(),
        );
        let events = Counter::default();
        registry.register("events", "Events appended by this process", events.clone());
        let connections = level(&mut registry, ("connections", "Connections open"));
        let streams = Family::default();
        registry.register("streams", "Live streams open", streams.clone());
        let lag = Family::default();
        registry.register("follower_lag_events", "Events not yet applied to a view", lag.clone());
        let quarantined = Family::default();
        registry.register(
            "follower_quarantined",
            "Rows of a view that no longer advance because an event cannot be applied",
            quarantined.clone(),
        );
        let [runs_aside, timers_put_off, rows_unreadable] = put_aside(&mut registry);
        let memory = level(&mut registry, ("memory_resident_bytes", "Memory of this process"));
        let held = Family::default();
        registry.register("held_bytes", "Memory that is held for clients", held.clone());
        let upstream_failures = failures(&mut registry);
        Self {
            registry: Arc::new(registry),
            requests,
            request_seconds,
            commands,
            command_seconds,
            appends,
            append_seconds,
            events,
            connections,
            streams,
            lag,
            quarantined,
            upstream_failures,
            runs_aside,
            timers_put_off,
            rows_unreadable,
            memory,
            held,
        }
    }
}

impl Metrics {
    pub fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&Answered { route: route.to_owned(), method, status }).inc();
        self.request_seconds
            .get_or_create(&OfRoute { route: route.to_owned() })
            .observe(took.as_secs_f64());
    }

    /// Counts a finished command.
    pub(crate) fn commanded(&self, command: &'static str, code: Option<ErrorCode>, took: Duration) {
        self.commands
            .get_or_create(&Commanded { command, code: code.map_or("OK", ErrorCode::as_str) })
            .inc();
        self.command_seconds.get_or_create(&OfCommand { command }).observe(took.as_secs_f64());
    }

    /// Counts a finished append.
    pub(crate) fn appended(&self, outcome: &'static str, events: usize, took: Duration) {
        self.appends.get_or_create(&Ended { outcome }).inc();
        self.append_seconds.observe(took.as_secs_f64());
        if outcome == "done" {
            self.events.inc_by(events as u64);
        }
    }

    pub fn connections(&self) -> Level {
        self.connections.clone()
    }

    /// The open streams of a face, such as `ws` or `sse`. The face increments and decrements the
    /// gauge.
    pub fn streams(&self, face: &'static str) -> Level {
        self.streams.get_or_create_owned(&OfFace { face })
    }

    /// A follower's lag behind the log, in events; set by the follower.
    pub fn follower_lag(&self, view: &'static str) -> Level {
        self.lag.get_or_create_owned(&OfView { view })
    }

    /// A follower's quarantined rows; set by the follower.
    pub fn follower_quarantined(&self, view: &'static str) -> Level {
        self.quarantined.get_or_create_owned(&OfView { view })
    }

    /// Counts a call to Anthropic that failed.
    pub fn upstream_failed(&self, class: &'static str) {
        self.upstream_failures.get_or_create(&OfClass { class }).inc();
    }

    /// Runs that the engine has set aside; set by the engine.
    pub fn runs_set_aside(&self) -> Level {
        self.runs_aside.clone()
    }

    /// Timers that failed and are put off; set by the timers.
    pub fn timers_put_off(&self) -> Level {
        self.timers_put_off.clone()
    }

    /// Rows that were passed over because they cannot be decoded; set by the store.
    pub fn rows_unreadable(&self) -> Level {
        self.rows_unreadable.clone()
    }

    /// The bytes held for clients, of one kind.
    pub fn held(&self, kind: &'static str) -> Level {
        self.held.get_or_create_owned(&OfKind { kind })
    }

    /// All metrics in Prometheus' own text format 0.0.4, in which a counter has the name of its
    /// samples, and units and the end are not marked.
    pub fn plain_text(&self) -> String {
        plain(&self.text())
    }

    /// All metrics in the format of `OpenMetrics`.
    pub fn text(&self) -> String {
        self.memory.set(resident_bytes().unwrap_or(0));
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            // Writing to a string can't fail.
            text.clear();
        }
        text
    }
}

/// The older form of a text in the format of `OpenMetrics`.
fn plain(open: &str) -> String {
    let kinds = || open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let counters: HashSet<_> =
        kinds().filter(|(_, kind)| *kind == "counter").map(|(name, _)| name).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        let told = ["# HELP ", "# TYPE "].iter().find_map(|start| {
            let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
            Some((start, name, rest))
        });
        if let Some((start, name, rest)) = told
            && counters.contains(name)
        {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{start}{name}_total {rest}");
        } else if line != "# EOF" && !line.starts_with("# UNIT ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Linux reports the size in pages; other systems return `None`.
fn resident_bytes() -> Option<i64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = pages.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

/// Increments a gauge for as long as it lives.
#[derive(Debug)]
pub struct Counted(Level);

impl Counted {
    pub fn new(level: Level) -> Self {
        level.inc();
        Self(level)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
