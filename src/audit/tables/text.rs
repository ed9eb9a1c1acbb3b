//! Timers, and the text of runs.

use super::Walk;
use crate::keychain::Opened;
use claviger_domain::id::{RunId, UserId};
use claviger_projections::ports::{DeltaRow, TimerKind, TimerRow};
use uuid::Uuid;

impl Walk<'_> {
    pub(super) fn timer(&mut self, row: &TimerRow) {
        let name = format!("the timer of {} of {}, {},", row.subject, row.owner, kind(row.kind));
        let expected = match row.kind {
            TimerKind::KeyExpiry | TimerKind::KeyTest => {
                let user = self.expected.users.get_mut(&row.owner);
                let due = user.and_then(|user| user.timers.get_mut(&(row.kind, row.subject)));
                due.map(|due| {
                    due.is_there = true;
                    (due.command, due.at)
                })
            }
            TimerKind::DeltaExpiry => {
                let run = self.expected.runs.get(&RunId(row.subject));
                let run = run.filter(|run| run.owner == row.owner);
                run.and_then(|run| run.expires_at).map(|due_at| (None, due_at))
            }
        };
        let found = (row.command, row.due_at);
        if self.expected.is_erased(row.owner) || expected.is_none() {
            self.unknown(&name);
        } else if expected != Some(found) {
            self.problem(format!(
                "{name} is due at another time or for another command than the log says: restore \
                 the row from a backup"
            ));
        }
        if row.kind == TimerKind::DeltaExpiry
            && let Some(run) = self.expected.runs.get_mut(&RunId(row.subject))
        {
            run.has_timer = true;
        }
    }

    /// A timer that is due may have run already.
    pub(super) fn missing_timers(&mut self) {
        let now = self.opener.now();
        let mut missing: Vec<(UserId, TimerKind, Uuid)> = Vec::new();
        for (owner, user) in &self.expected.users {
            let later = user.timers.iter().filter(|(_, due)| due.at > now && !due.is_there);
            missing.extend(later.map(|((kind, subject), _)| (*owner, *kind, *subject)));
        }
        for (run, text) in &self.expected.runs {
            let is_later = text.expires_at.is_some_and(|at| at > now);
            if is_later && !text.has_timer && !self.expected.is_erased(text.owner) {
                missing.push((text.owner, TimerKind::DeltaExpiry, run.0));
            }
        }
        for (owner, of, subject) in missing {
            self.problem(format!(
                "the timer of {subject} of {owner}, {}, is missing: restore the row from a backup",
                kind(of)
            ));
        }
    }

    pub(super) fn delta(&mut self, row: &DeltaRow) {
        let (run, v, d) = (row.place.run, row.place.v, row.place.d);
        let name = format!("row {d} of text after version {v} of run {}", run.0);
        let is_erased = self.expected.is_erased(row.owner);
        let known = self.expected.runs.get_mut(&run);
        let Some(text) = known.filter(|text| text.owner == row.owner && !is_erased) else {
            self.unknown(&name);
            return;
        };
        if d == 0 || v == 0 || v > text.version {
            self.unknown(&name);
            return;
        }
        // A row beyond those counted is void, and was written by a process that had lost the run.
        if let Some(counted) = text.rows.get_mut(&v)
            && d <= counted.expected
        {
            counted.found += 1;
        }
        if self.opener.delta(row) == Opened::No {
            self.problem(format!("{name} does not open: restore the row from a backup"));
        }
    }

    /// The text of a run that ended a day ago may be gone, wholly or in part.
    pub(super) fn missing_deltas(&mut self) {
        let now = self.opener.now();
        let mut problems = Vec::new();
        for (run, text) in &self.expected.runs {
            if text.expires_at.is_some_and(|at| at <= now) {
                continue;
            }
            for (v, counted) in &text.rows {
                if counted.found != counted.expected {
                    problems.push(format!(
                        "run {} has {} rows of text after version {v} instead of {}: restore them \
                         from a backup; replies that are complete are not affected",
                        run.0, counted.found, counted.expected
                    ));
                }
            }
        }
        for problem in problems {
            self.problem(problem);
        }
    }
}

const fn kind(kind: TimerKind) -> &'static str {
    match kind {
        TimerKind::KeyExpiry => "expiry of a key",
        TimerKind::KeyTest => "end of a key test",
        TimerKind::DeltaExpiry => "expiry of a run's text",
    }
}
