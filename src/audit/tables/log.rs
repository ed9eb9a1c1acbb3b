//! Rows that belong to events: boxes, requirements, command records.

use super::{Walk, problem_of};
use claviger_domain::catalogue::Requirement;
use claviger_domain::id::CommandId;
use claviger_projections::ports::TimerKind;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Missing {
    /// What is required, and the first position that needs it.
    pub(super) required: BTreeMap<Requirement, u64>,
}

impl Walk<'_> {
    /// A part that is missing makes its event unreadable, and its bytes are in the event's leaf.
    pub(super) fn part(&mut self, position: u64, part: u64) {
        let boxes = self.expected.boxes.get(&position).copied().unwrap_or_default();
        if part >= boxes {
            self.unknown(&format!("part {part} of position {position}"));
        }
    }

    pub(super) fn missing_requirements(&mut self, missing: &mut Missing) {
        for (requirement, position) in std::mem::take(&mut missing.required) {
            self.problem(format!(
                "position {position} needs {requirement}, and the store does not list it as \
                 required: an older program could open the store, add the row again"
            ));
        }
    }

    /// A record is open as long as its key test is.
    pub(super) fn open_records(&mut self) {
        let tests = self.expected.users.values().flat_map(|user| user.timers.iter());
        let open: BTreeSet<CommandId> = tests
            .filter(|((kind, _), _)| *kind == TimerKind::KeyTest)
            .filter_map(|(_, due)| due.command)
            .collect();
        let wrong = self.expected.records.iter().filter(|record| {
            record.open != open.contains(&record.command_id)
                && !self.expected.is_erased(record.owner)
        });
        let problems: Vec<String> = wrong
            .map(|record| {
                let why = if record.open {
                    "is open, and its test is not"
                } else {
                    "is closed, and its test is not"
                };
                problem_of(record, why)
            })
            .collect();
        for problem in problems {
            self.problem(problem);
        }
    }
}
