//! One owner's runs, timers and unreadable rows never hold another's.
