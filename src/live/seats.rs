//! How many sockets and streams there are, in all and for each user.

use claviger_domain::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// No place is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The process has as many as it takes.
    #[error("this server has as many sockets and streams as it takes: try again later")]
    InAll,
    /// The user has.
    #[error("you have as many sockets and streams open as one user may: close some first")]
    OfUser,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_user: HashMap<UserId, usize>,
}

/// Counts places.
#[derive(Debug)]
pub struct Seats {
    most_in_all: usize,
    most_per_user: usize,
    taken: Mutex<Taken>,
}

/// A place, given up when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    user: Option<UserId>,
}

impl Seats {
    /// None taken yet.
    pub fn new(most_in_all: usize, most_per_user: usize) -> Arc<Self> {
        Arc::new(Self { most_in_all, most_per_user, taken: Mutex::default() })
    }

    /// Takes a place for somebody not known yet.
    ///
    /// # Errors
    /// [`Full::InAll`].
    pub fn take(self: &Arc<Self>) -> Result<Seat, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.most_in_all {
            return Err(Full::InAll);
        }
        taken.in_all += 1;
        Ok(Seat { seats: Arc::clone(self), user: None })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

impl Seat {
    /// Says whose place it is.
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

impl Drop for Seat {
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
