//! Orchestrations as clients see them, over ports that hold everything in memory and answer
//! immediately.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod story;
