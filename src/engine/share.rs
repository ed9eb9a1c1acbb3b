//! How places that all owners share are handed out: round robin over owners, and to each as long as
//! it holds fewer than are free.
//!
//! So one owner alone gets half of them, `n` busy owners get an equal part each and leave as much
//! free, and whoever comes next begins at once, however long the others hold theirs. The rule is
//! that of shared packet buffers (Choudhury and Hahne, "Dynamic queue length thresholds", 1998),
//! and needs no knowledge of who will come.

/// Whether an owner that holds this many places may take another of those that are free.
pub(super) const fn may_take(held: usize, free: usize) -> bool {
    held < free
}

#[cfg(test)]
mod tests {
    use super::may_take;

    /// Owners that take all they may, one place each in turn.
    fn taken(places: usize, owners: usize) -> Vec<usize> {
        let mut held = vec![0; owners];
        loop {
            let before = held.clone();
            for owner in 0..owners {
                let free = places - held.iter().sum::<usize>();
                if may_take(held[owner], free) {
                    held[owner] += 1;
                }
            }
            if held == before {
                return held;
            }
        }
    }

    #[test]
    fn an_owner_gets_half_several_get_as_much_as_they_leave_free() {
        for (places, owners, expected) in [
            (1, 1, vec![1]),
            (4, 1, vec![2]),
            (5, 1, vec![3]),
            (1_000, 1, vec![500]),
            (1_000, 2, vec![334, 333]),
            (1_000, 9, vec![100; 9]),
        ] {
            assert_eq!(taken(places, owners), expected, "{places} places, {owners} owners");
        }
    }
}
