//! Every view, and all that differs from one to the next. The command line, the followers, `verify`
//! and `replay` take their views from this list.

use super::accounts::Accounts;
use super::inline::InlineView;
use super::keys::Keys;
use super::open_runs::OpenRuns;
use super::runs::Runs;
use claviger_projections::activity::ActivityView;
use claviger_projections::follower::FollowedView;
use claviger_projections::ports;
use claviger_projections::usage::UsageView;
use std::fmt;
use std::sync::Arc;

/// A view.
pub struct View {
    name: &'static str,
    about: &'static str,
    row: &'static str,
    pub(super) kind: Kind,
}

/// When a view's rows are written. Each kind supplies the fold of the view's events, and the
/// encoding and comparison of its rows.
pub(super) enum Kind {
    /// In the transaction of the events.
    Inline(&'static dyn InlineView),
    /// After the events, by a follower.
    Followed(fn() -> Arc<dyn FollowedView>),
}

/// Every view, in the order in which they are checked and listed.
pub const ALL: &[&View] = &[&KEYS, &ACCOUNTS, &RUNS, &OPEN_RUNS, &ACTIVITY, &USAGE];

pub static KEYS: View = View {
    name: ports::KEYS,
    about: "Keys with their defaults",
    row: "key",
    kind: Kind::Inline(&Keys),
};

pub static ACCOUNTS: View = View {
    name: ports::ACCOUNTS,
    about: "Accounts",
    row: "account",
    kind: Kind::Inline(&Accounts),
};

pub static RUNS: View =
    View { name: ports::RUNS, about: "Runs", row: "run", kind: Kind::Inline(&Runs) };

pub static OPEN_RUNS: View = View {
    name: ports::OPEN_RUNS,
    about: "Runs that have not ended, for the engine",
    row: "open run",
    kind: Kind::Inline(&OpenRuns),
};

pub static ACTIVITY: View = View {
    name: ports::ACTIVITY,
    about: "Calls and faults of each key",
    row: "activity",
    kind: Kind::Followed(|| Arc::new(ActivityView)),
};

pub static USAGE: View = View {
    name: ports::USAGE,
    about: "Tokens and costs of runs",
    row: "usage",
    kind: Kind::Followed(|| Arc::new(UsageView)),
};

/// The view of this name.
pub fn named(name: &str) -> Option<&'static View> {
    ALL.iter().copied().find(|view| view.name == name)
}

impl View {
    /// The view's name in the store and on the command line.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the view shows, in a few words for the command line.
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// The noun for one of its rows in a problem.
    pub(super) const fn row(&self) -> &'static str {
        self.row
    }

    /// The view as its follower folds it; `None` for a view that is written with its events.
    pub fn followed(&self) -> Option<Arc<dyn FollowedView>> {
        match self.kind {
            Kind::Inline(_) => None,
            Kind::Followed(view) => Some(view()),
        }
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for View {}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_view_has_the_name_under_which_its_rows_are_stored() {
        for view in ALL {
            let stored = view.followed().map(|followed| followed.name());
            assert_eq!(stored.unwrap_or(view.name()), view.name());
        }
    }

    #[test]
    fn a_view_is_found_by_its_name_and_by_no_other() {
        for view in ALL {
            assert_eq!(named(view.name()), Some(*view));
        }
        assert_eq!(named("sessions"), None);
    }
}
