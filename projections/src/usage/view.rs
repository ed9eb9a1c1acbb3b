//! A row of the view: one run on one UTC day. So the runs that calls of some days, keys or models belong to can be counted without counting
//! one twice, and a row stays as small as its run. Nothing in it is personal, so nothing is sealed.

use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{Cost, Credential, CredentialSource, Pattern, Usage};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Milliseconds of a UTC day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The UTC day of a time, counted from 1970-01-01.
pub const fn day_of(at: Timestamp) -> u64 {
    at.0 / DAY_MS
}

/// When a day begins: sorts the rows.
pub const fn start_of(day: u64) -> Timestamp {
    Timestamp(day.saturating_mul(DAY_MS))
}

/// The calls with one credential and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The key, where it is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Where the credential came from.
    pub source: CredentialSource,
    /// The model.
    pub model: String,
    /// How many calls.
    pub calls: u64,
    /// What they used.
    pub usage: Usage,
    /// What that cost; absent where one call's isn't known.
    #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
    pub cost: Cost,
}

/// What the calls of a run that ended on one day used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFacts {
    /// The run.
    pub run: RunId,
    /// The day, counted from 1970-01-01, UTC.
    pub day: u64,
    /// How its agents work together.
    pub pattern: Pattern,
    /// One for each credential and model, in the order of their first calls.
    pub cells: Vec<Cell>,
}

/// A call that ended, failed or not.
pub(super) struct EndedCall<'event> {
    pub(super) run: RunId,
    pub(super) at: Timestamp,
    pub(super) pattern: Pattern,
    pub(super) credential: Credential,
    pub(super) model: &'event str,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
}

impl UsageFacts {
    pub(super) const fn new(call: &EndedCall<'_>) -> Self {
        Self { run: call.run, day: day_of(call.at), pattern: call.pattern, cells: Vec::new() }
    }

    /// Where a run and a day have their row. Neither's bits alone tell rows of one owner apart, and their exclusive or could meet that of
    /// ids made one behind the other: so a hash, whose first half nobody meets by accident.
    pub fn id(run: RunId, day: u64) -> Uuid {
        let hash =
            Sha256::new().chain_update(run.0.as_bytes()).chain_update(day.to_be_bytes()).finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        Uuid::from_bytes(id)
    }

    pub(super) fn add(&mut self, call: &EndedCall<'_>) {
        let Credential { source, key, .. } = call.credential;
        let same = |cell: &&mut Cell| {
            (cell.key, cell.source, cell.model.as_str()) == (key, source, call.model)
        };
        if let Some(cell) = self.cells.iter_mut().find(same) {
            cell.calls += 1;
            cell.usage = cell.usage.plus(call.usage);
            cell.cost = cell.cost.plus(call.cost);
            return;
        }
        self.cells.push(Cell {
            key,
            source,
            model: call.model.to_owned(),
            calls: 1,
            usage: call.usage,
            cost: call.cost,
        });
    }
}
