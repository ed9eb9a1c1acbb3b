//! A row of the usage view: one run on one UTC day. This allows counting the runs of certain days,
//! keys or models without counting any twice, and a row stays as small as its run. It contains no
//! personal data, so nothing is sealed.

use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{Cost, Credential, CredentialSource, Pattern, Usage};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Milliseconds in a UTC day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The UTC day of a time, in days since 1970-01-01.
pub const fn day_of(at: Timestamp) -> u64 {
    at.0 / DAY_MS
}

/// When a day begins; sorts the rows.
pub const fn start_of(day: u64) -> Timestamp {
    Timestamp(day.saturating_mul(DAY_MS))
}

/// The calls with one credential and one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The key, if the credential is a user's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The source of the credential.
    pub source: CredentialSource,
    /// Anthropic's id of the model.
    pub model: String,
    /// Number of calls.
    pub calls: u64,
    /// Tokens that the calls used.
    pub usage: Usage,
    /// Cost of the calls; absent if the cost of any call is unknown.
    #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
    pub cost: Cost,
}

/// Usage of those calls of a run that ended on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFacts {
    /// The run that made the calls.
    pub run: RunId,
    /// The UTC day, in days since 1970-01-01.
    pub day: u64,
    /// The run's pattern.
    pub pattern: Pattern,
    /// One for each credential and model, in the order of their first calls.
    pub cells: Vec<Cell>,
}

/// A call that ended, whether or not it failed.
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

    /// The row id of a run and a day. Neither value alone identifies a row of an owner, and their
    /// exclusive or could collide for ids created one after another. Hence the first half of a
    /// hash, which does not collide by accident.
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
