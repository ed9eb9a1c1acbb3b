//! The vault from outside: golden vectors of an independent implementation, properties, rotations
//! and errors.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod support;
