//! Live feeds over the log: the process's one reader, the feeds themselves, who may hold one and until when.

mod feeds;
mod guard;
mod run_hub;
mod runs;
mod seats;
mod settings;
mod tail;

pub use feeds::LiveFeeds;
pub use guard::{End, Guard, Watch};
pub use run_hub::RunHub;
pub use runs::LiveRuns;
pub use seats::{Full, Seat, Seats};
pub use settings::LiveSettings;
pub use tail::Tail;

use claviger_application::EventView;
use claviger_projections::feed::Hub;
use std::sync::Arc;

/// The process's hub of events, opened for whom they belong to.
pub type EventHub = Hub<Arc<EventView>>;
