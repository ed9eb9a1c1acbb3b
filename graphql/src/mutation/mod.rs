//! Mutations: accounts, keys and orchestrations.

mod accounts;
mod administration;
mod administration_inputs;
mod call;
mod inputs;
mod keys;
mod patterns;
mod payloads;
mod run_inputs;
mod runs;
#[expect(
    dead_code,
    reason = "the derive makes a method of each field, for interfaces that have it"
)]
mod user_errors;

pub(crate) use payloads::MutationPayload;

use async_graphql::MergedObject;

/// The root of mutations. They run one after another.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    accounts::AccountMutations,
    administration::AdministrationMutations,
    keys::KeyMutations,
    runs::RunMutations,
);
