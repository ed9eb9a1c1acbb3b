//! What the domain promises: rules of the aggregates, stored shapes, texts, ids and codes.

#[cfg(test)]
mod account;
#[cfg(test)]
mod example;
#[cfg(test)]
mod given;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod key_ring;
#[cfg(test)]
mod property;
#[cfg(test)]
mod value;
