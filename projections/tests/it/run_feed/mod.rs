//! The feed of a run: tables of what follows what, and random schedules against an oracle.

mod given;
mod random;
mod table;
