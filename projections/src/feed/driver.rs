//! The pure part of a feed: the next action, given what has arrived.

use std::collections::VecDeque;

/// All items with a cursor above `from` and up to `to`, without omissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<C, T> {
    /// Earlier items were in an earlier span, or concerned earlier listeners.
    pub from: C,
    /// The span is complete up to here. If equal to `from`, the span only signals that something
    /// happened.
    pub to: C,
    /// The items, in order.
    pub items: Vec<(C, T)>,
}

/// The result of a read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<C, T> {
    /// The items after the requested cursor, in order, without omissions. A reader may stop early
    /// to save memory.
    pub items: Vec<(C, T)>,
    /// Complete up to here: at least the last item's cursor.
    pub covered: C,
    /// Whether more items may follow: read again from `covered`.
    pub more: bool,
}

/// The next action of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<C, T> {
    /// Emit this item.
    Emit(C, T),
    /// Read the store from this cursor.
    Read(C),
    /// Wait for the hub.
    Wait,
}

/// The state of a feed: its cursor, its pending items, and whether it must read. Its methods depend
/// only on their input; they neither wait nor use the time.
///
/// The cursor can be any ordered type: here it is a position of the log; a run's feed with text
/// deltas uses a finer one.
#[derive(Clone, Debug)]
pub struct Driver<C, T> {
    /// Every item up to here was emitted or is in `ready`.
    taken: C,
    behind: bool,
    /// At most one batch or one span: the next one is accepted only when this is empty.
    ready: VecDeque<(C, T)>,
}

impl<C: Copy + Ord, T: Clone> Driver<C, T> {
    /// A feed of the items after a cursor that may lie anywhere in the past.
    pub const fn after(cursor: C) -> Self {
        Self { taken: cursor, behind: true, ready: VecDeque::new() }
    }

    /// A feed of the items from now on. `now` must have been read after the registration with the
    /// hub.
    pub const fn from_now(now: C) -> Self {
        Self { taken: now, behind: false, ready: VecDeque::new() }
    }

    /// The next action.
    pub fn wants(&mut self) -> Next<C, T> {
        match self.ready.pop_front() {
            Some((cursor, item)) => Next::Emit(cursor, item),
            None if self.behind => Next::Read(self.taken),
            None => Next::Wait,
        }
    }

    /// The hub published a span.
    pub fn told(&mut self, span: &Span<C, T>) {
        if span.from > self.taken || (span.to > self.taken && span.from == span.to) {
            // The span does not continue from our position.
            self.behind = true;
        } else if span.to > self.taken {
            self.take(span.items.iter().cloned());
            self.taken = span.to;
        }
    }

    /// The hub published more than its channel holds.
    pub const fn lagged(&mut self) {
        self.behind = true;
    }

    /// The store was read from the requested cursor.
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

    /// Name, where the feed starts, what arrives, what it emits, and its next action.
    type Case<'a> = (&'a str, &'a Driver<u64, u64>, Vec<Came>, Vec<u64>, Next<u64, u64>);

    /// What a feed emits until it needs input, and the action it needs then.
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
                "an overlapping span is taken from the current position",
                now,
                vec![Told(span(8, 12, &[9, 11]))],
                vec![11],
                Next::Wait,
            ),
            ("an old span is skipped", now, vec![Told(span(8, 10, &[9, 10]))], vec![], Next::Wait),
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
                "a short read ends at what it covers",
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
                "an item read twice is emitted once",
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
