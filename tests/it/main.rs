//! Black-box and integration tests, one binary.

// Clippy allows tests what it denies elsewhere only where it sees this attribute.
#[cfg(test)]
mod administration;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod house;
#[cfg(test)]
mod http;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod store;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod views;
#[cfg(test)]
mod watching;
