//! Counts sockets and streams, in total and per user.

use claviger_domain::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// No slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The process is at its limit.
    #[error("this server has reached its limit of sockets and streams: try again later")]
    InAll,
    /// The user is at their limit.
    #[error("you have reached the limit of open sockets and streams per user: close some first")]
    OfUser,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_user: HashMap<UserId, usize>,
}

#[derive(Debug)]
pub struct StreamSlots {
    most_in_all: usize,
    most_per_user: usize,
    taken: Mutex<Taken>,
}

/// A slot, released when dropped.
#[derive(Debug)]
pub struct StreamSlot {
    seats: Arc<StreamSlots>,
    user: Option<UserId>,
}

impl StreamSlots {
    pub fn new(most_in_all: usize, most_per_user: usize) -> Arc<Self> {
        Arc::new(Self { most_in_all, most_per_user, taken: Mutex::default() })
    }

    /// Takes a slot for a user not known yet.
    ///
    /// # Errors
    /// [`Full::InAll`].
    pub fn take(self: &Arc<Self>) -> Result<StreamSlot, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.most_in_all {
            return Err(Full::InAll);
        }
        taken.in_all += 1;
        Ok(StreamSlot { seats: Arc::clone(self), user: None })
    }

    /// The number of slots taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

impl StreamSlot {
    /// Assigns the slot to a user.
    ///
    /// # Errors
    /// [`Full::OfUser`].
    pub fn claim(&mut self, user: UserId) -> Result<(), Full> {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.by_user.entry(user).or_default();
        if *count >= self.seats.most_per_user {
            return Err(Full::OfUser);
        }
        *count += 1;
        drop(taken);
        self.user = Some(user);
        Ok(())
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all = taken.in_all.saturating_sub(1);
        let Some(user) = self.user else { return };
        let left = taken.by_user.get(&user).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.by_user.remove(&user);
        } else {
            taken.by_user.insert(user, left);
        }
    }
}
