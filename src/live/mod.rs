//! Live feeds over the log: the process's one reader, the feeds, and the guards that decide who may
//! hold one and for how long.

mod feeds;
mod guard;
mod run_hub;
mod run_room;
mod runs;
mod settings;
mod tail;

pub use feeds::LiveFeeds;
pub use guard::{End, Guard, Watch};
pub use run_hub::RunHub;
pub use run_room::RunRooms;
pub use runs::LiveRuns;
pub use settings::{LiveSettings, share_of};
pub use tail::Tail;

use claviger_application::EventView;
use claviger_projections::feed::Hub;
use std::sync::Arc;

/// The process's hub of opened events.
pub type EventHub = Hub<Arc<EventView>>;
