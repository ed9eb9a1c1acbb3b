//! `verify` finds every deletion and every edit.
