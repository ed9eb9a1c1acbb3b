//! Mutations: accounts and keys.

mod accounts;
mod inputs;
mod keys;
mod payloads;

pub(crate) use payloads::MutationPayload;

use async_graphql::MergedObject;

/// The root of mutations. They run one after another.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(accounts::AccountMutations, keys::KeyMutations);
