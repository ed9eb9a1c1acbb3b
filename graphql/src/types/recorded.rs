//! A recorded resolution: reasons as sentences, as the query `resolution` gives them, and keys in
//! their current state.

use super::resolution::CredentialResolution;
use crate::loads;
use async_graphql::{Context, Error};
use claviger_application::{Candidate, Circumstances};
use claviger_domain::id::UserId;
use claviger_domain::orchestration::{Considered, CredentialSource};

impl CredentialResolution {
    /// The recorded candidates; `context` is the run's context, if it can be read.
    pub(crate) async fn recorded(
        ctx: &Context<'_>,
        owner: UserId,
        considered: &[Considered],
        context: Option<&str>,
    ) -> Result<Self, Error> {
        let mut candidates = Vec::with_capacity(considered.len());
        // The default key of the run's own context comes first, then that of "default".
        let mut contexts = [context, Some("default")].into_iter();
        for one in considered {
            let key = match one.key {
                Some(key) => loads::key(ctx, owner, key).await?,
                None => None,
            };
            let context = if one.source == CredentialSource::DefaultKey {
                contexts.next().flatten()
            } else {
                None
            };
            let known = Circumstances { context, ..Circumstances::default() };
            candidates.push(Candidate::of(one.source, key, one.why, known));
        }
        Ok(Self::of(owner, candidates))
    }
}
