//! The pure half of a feed: what to do next, given what came.

use std::collections::VecDeque;

/// All items with a cursor above `from` and up to `to`; nothing in between is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<C, T> {
    /// The items before were told of earlier, or belong to whoever listened then.
    pub from: C,
    /// The span is whole up to here. Equal to `from` it only says that something happened.
    pub to: C,
    /// The items, in order.
    pub items: Vec<(C, T)>,
}

/// What a read of the store gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<C, T> {
    /// The items after the cursor asked for, in order, none left out. A reader may stop early, for the sake of memory.
    pub items: Vec<(C, T)>,
    /// Whole up to here: at least the last item's cursor.
    pub covered: C,
    /// There may be more: read again from `covered`.
    pub more: bool,
}

/// What the feed wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<C, T> {
    /// Hand this on.
    Emit(C, T),
    /// Read the store from this cursor.
    Read(C),
    /// Wait for the hub.
    Wait,
}

/// A feed's state: where it stands, what it holds, whether it must read. Functions of what came in, without waiting and without time.
///
/// The cursor is any order of items: positions of the log here; a run's feed with its text deltas counts more finely.
#[derive(Clone, Debug)]
pub struct Driver<C, T> {
    /// Everything up to here was handed on or is in `ready`.
    taken: C,
    behind: bool,
    /// At most one batch or one span: more is taken in only once it is empty.
    ready: VecDeque<(C, T)>,
}

impl<C: Copy + Ord, T: Clone> Driver<C, T> {
    /// A feed of what comes after a cursor that may lie anywhere in the past.
    pub const fn after(cursor: C) -> Self {
        Self { taken: cursor, behind: true, ready: VecDeque::new() }
    }

    /// A feed of what comes from now on. `now` must have been read after the registration with the hub.
    pub const fn from_now(now: C) -> Self {
        Self { taken: now, behind: false, ready: VecDeque::new() }
    }

    /// What to do.
    pub fn wants(&mut self) -> Next<C, T> {
        match self.ready.pop_front() {
            Some((cursor, item)) => Next::Emit(cursor, item),
            None if self.behind => Next::Read(self.taken),
            None => Next::Wait,
        }
    }

    /// The hub told of a span.
    pub fn told(&mut self, span: &Span<C, T>) {
        if span.from > self.taken || (span.to > self.taken && span.from == span.to) {
            // Not the continuation of what we have.
            self.behind = true;
        } else if span.to > self.taken {
            self.take(span.items.iter().cloned());
            self.taken = span.to;
        }
    }

    /// The hub told more than its channel holds.
    pub const fn lagged(&mut self) {
        self.behind = true;
    }

    /// The store was read from the cursor asked for.
    pub fn read(&mut self, batch: Batch<C, T>) {
        self.take(batch.items);
        self.taken = self.taken.max(batch.covered);
        self.behind = batch.more;
    }

    fn take(&mut self, items: impl IntoIterator<Item = (C, T)>) {
        let taken = self.taken;
        self.ready.extend(items.into_iter().filter(|(cursor, _)| *cursor > taken));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64, items: &[u64]) -> Span<u64, u64> {
        Span { from, to, items: items.iter().map(|item| (*item, *item)).collect() }
    }

    fn batch(items: &[u64], covered: u64, more: bool) -> Batch<u64, u64> {
        Batch { items: items.iter().map(|item| (*item, *item)).collect(), covered, more }
    }

    #[derive(Clone)]
    enum Came {
        Told(Span<u64, u64>),
        Lagged,
        Read(Batch<u64, u64>),
    }
    use Came::{Lagged, Read, Told};

    /// Name, where the feed starts, what came, what it emits, what it wants then.
    type Case<'a> = (&'a str, &'a Driver<u64, u64>, Vec<Came>, Vec<u64>, Next<u64, u64>);

    /// What a feed emits until it wants something of the world, and what it wants then.
    fn settle(driver: &mut Driver<u64, u64>) -> (Vec<u64>, Next<u64, u64>) {
        let mut emitted = Vec::new();
        loop {
            match driver.wants() {
                Next::Emit(cursor, _) => emitted.push(cursor),
                wants @ (Next::Read(_) | Next::Wait) => return (emitted, wants),
            }
        }
    }

    fn spans<'a>(now: &'a Driver<u64, u64>, past: &'a Driver<u64, u64>) -> Vec<Case<'a>> {
        vec![
            ("from now on waits", now, vec![], vec![], Next::Wait),
            ("from the past reads", past, vec![], vec![], Next::Read(3)),
            (
                "a span that continues is taken",
                now,
                vec![Told(span(10, 12, &[11, 12]))],
                vec![11, 12],
                Next::Wait,
            ),
            (
                "one that overlaps is taken from where we stand",
                now,
                vec![Told(span(8, 12, &[9, 11]))],
                vec![11],
                Next::Wait,
            ),
            (
                "one that is old is passed over",
                now,
                vec![Told(span(8, 10, &[9, 10]))],
                vec![],
                Next::Wait,
            ),
            ("an old hint too", now, vec![Told(span(9, 9, &[]))], vec![], Next::Wait),
            ("a gap means reading", now, vec![Told(span(11, 12, &[12]))], vec![], Next::Read(10)),
            ("a hint means reading", now, vec![Told(span(12, 12, &[]))], vec![], Next::Read(10)),
            ("lag means reading", now, vec![Lagged], vec![], Next::Read(10)),
        ]
    }

    fn reads(past: &Driver<u64, u64>) -> Vec<Case<'_>> {
        vec![
            (
                "a full read is followed by another",
                past,
                vec![Read(batch(&[4, 6], 6, true))],
                vec![4, 6],
                Next::Read(6),
            ),
            (
                "a short one ends at what it covers",
                past,
                vec![Read(batch(&[4], 9, false))],
                vec![4],
                Next::Wait,
            ),
            (
                "after a short read the next span continues",
                past,
                vec![Read(batch(&[4], 9, false)), Told(span(7, 11, &[8, 11]))],
                vec![4, 11],
                Next::Wait,
            ),
            (
                "what is read twice is handed on once",
                past,
                vec![Read(batch(&[4, 5], 5, true)), Read(batch(&[5, 6], 6, false))],
                vec![4, 5, 6],
                Next::Wait,
            ),
        ]
    }

    #[test]
    fn what_comes_in_decides_what_goes_out() {
        let (now, past) = (Driver::from_now(10), Driver::after(3));
        for (name, start, came, expected, wants) in
            spans(&now, &past).into_iter().chain(reads(&past))
        {
            let (mut driver, mut emitted) = (start.clone(), Vec::new());
            for one in came {
                emitted.extend(settle(&mut driver).0);
                match one {
                    Told(span) => driver.told(&span),
                    Lagged => driver.lagged(),
                    Read(batch) => driver.read(batch),
                }
            }
            let (rest, next) = settle(&mut driver);
            emitted.extend(rest);
            assert_eq!((emitted, next), (expected, wants), "{name}");
        }
    }
}
