//! GraphQL over HTTP, after the specification of that name, stricter where it leaves a choice.
//!
//! This isn't the stock integration, because that one runs mutations over GET, accepts any content
//! type as JSON, reads bodies without a bound and always responds with 200. Requests
//! (`endpoint`), sockets ([`ws`]) and event streams ([`sse`]) share one path, one [`Admission`]
//! and one [`executor`].

mod admission;
mod context;
mod documents;
mod endpoint;
pub mod executor;
pub mod graphiql;
mod kept;
mod negotiation;
mod persisted;
pub mod problem;
mod refusal;
mod reply;
mod request;
mod root;
pub mod route;
mod secret_values;
pub mod sse;
pub mod streams;
pub mod ws;

pub use admission::Admission;
pub use context::RequestContext;
pub(in crate::http::graphql) use endpoint::mutation_over_get;
pub use endpoint::{EndpointSettings, Executor, GraphqlEndpoint};
pub use negotiation::Media;
pub(in crate::http::graphql) use negotiation::{require_json, wants_events, wants_parts};
pub use refusal::Refusal;
pub(in crate::http::graphql) use reply::Reply;
pub use reply::{code_of, complete_errors};
pub(in crate::http::graphql) use request::{from_json, from_uri, json_of};
