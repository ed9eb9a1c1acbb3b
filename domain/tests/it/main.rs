//! What the domain promises: rules of the aggregates, stored shapes, texts, ids and codes.

#[cfg(test)]
mod account;
#[cfg(test)]
mod example;
#[cfg(test)]
mod example_run;
#[cfg(test)]
mod given;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod key_ring;
#[cfg(test)]
mod orchestration;
#[cfg(test)]
mod pattern;
#[cfg(test)]
mod pattern_play;
#[cfg(test)]
mod property;
#[cfg(test)]
mod value;
