//! The feed of a run: tables of message sequences, and random schedules against an oracle.

mod given;
mod random;
mod table;
