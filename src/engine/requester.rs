//! The rights of the user who asked for a run to go on, by which the operator's credentials are
//! allowed.

use super::parts::Shared;
use crate::system::failure::store_failure;
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::stream::StreamName;
use std::collections::BTreeSet;

/// The rights of a run's owner when the run is resumed by the control request of this version.
///
/// Roles of this server's own accounts are as they are now. A user of an external issuer has those of
/// the token by which they asked: the request's event holds the highest. A grant on the account
/// doesn't count, since it may be older than the issuer's word, or contradict it.
pub(super) async fn roles_of_requester(
    shared: &Shared,
    owner: UserId,
    (run, request): (RunId, u64),
) -> Result<BTreeSet<Role>, Failure> {
    let reads = &shared.parts.reads;
    let Some(member) = reads.aggregates.member(owner).await? else { return Ok(BTreeSet::new()) };
    if !member.facts.is_external {
        return Ok(member.facts.roles);
    }
    let control = StreamName::RunControl(run.0);
    let events = reads.store.read_stream(control, request.saturating_sub(1), 1).await;
    let events = events.map_err(|error| store_failure(&error))?;
    Ok(events.first().and_then(|event| event.envelope.actor.role).into_iter().collect())
}
