//! Events as they are stored: the envelope and its leaf, the payload, and the macros that declare
//! event types.

mod envelope;
mod fields;
mod macros;
mod payload;

pub use envelope::{Envelope, EnvelopeVersion};
pub use fields::Fields;
pub(crate) use macros::{events, facts};
pub use payload::{EventError, EventParts, Payload, Shape};
pub(crate) use payload::{Facts, from_json, to_json};
