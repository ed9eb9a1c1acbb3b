//! Random schedules: a writer that crashes and leaves a stopped twin behind, and readers that are
//! disconnected, resume, read in pages and read slowly. Every reader ends with the texts of the
//! run, byte for byte.

use super::given::*;
use claviger_domain::orchestration::FailureClass;
use claviger_projections::run_feed::{FeedMessage, Outbox, RunFeed, SharedFeed, Subscriber, Wants};
use std::collections::BTreeMap;

/// A generator that gives the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

const PIECES: [&str; 6] = ["a", "ü", "😀", "long words ", "\n", "ß"];

/// A reader, connected or not.
struct Reader {
    client: Client,
    feed: Option<RunFeed>,
    outbox: Outbox,
}

impl Reader {
    fn new() -> Self {
        Self { client: Client::default(), feed: None, outbox: Outbox::new(4, 12) }
    }

    fn act(&mut self, stored: &Stored, dice: &mut Dice) {
        match dice.roll(8) {
            0 => self.feed = None,
            1..=4 => self.read(stored, dice),
            _ => self.receive(),
        }
    }

    /// Messages that wait in the outbox are lost with the connection.
    fn read(&mut self, stored: &Stored, dice: &mut Dice) {
        let feed = match &mut self.feed {
            Some(feed) => feed,
            none => {
                self.outbox = Outbox::new(4, 12);
                none.insert(RunFeed::new(self.client.cursor))
            }
        };
        if self.outbox.is_full() {
            return;
        }
        let (most_events, most_rows) = (1 + dice.roll(4), 1 + dice.roll(4));
        let mut batch = stored.read(
            feed,
            usize::try_from(most_events).unwrap(),
            usize::try_from(most_rows).unwrap(),
        );
        if dice.roll(4) == 0 {
            // A hint carries events only, or rows only.
            batch.rows_end = false;
            if dice.roll(2) == 0 {
                batch.rows.clear();
            } else {
                batch.events.clear();
            }
            batch.events_end = false;
        }
        for message in feed.take(batch).unwrap() {
            self.outbox.push(message);
        }
    }

    fn receive(&mut self) {
        if self.feed.is_some()
            && let Some(message) = self.outbox.pop()
        {
            self.client.receive(&message);
        }
    }

    /// Reconnects and reads to the end.
    fn finish(&mut self, stored: &Stored) {
        self.feed = None;
        let mut feed = RunFeed::new(self.client.cursor);
        let said: Vec<FeedMessage> = stored.all(&mut feed);
        assert!(feed.is_done());
        if !self.client.has_ended {
            for message in &said {
                self.client.receive(message);
            }
        }
        assert!(self.client.has_ended);
    }
}

/// A reader among those of a process, which share a fold.
struct Sharing {
    client: Client,
    subscriber: Option<Subscriber>,
}

impl Sharing {
    fn act(&mut self, room: &mut Room, stored: &Stored, dice: &mut Dice) {
        let Some(subscriber) = &mut self.subscriber else {
            return self.connect(room, stored, dice);
        };
        match dice.roll(8) {
            0 => self.subscriber = None,
            1..=4 => {
                if let Some(message) = subscriber.pop() {
                    self.client.receive(&message);
                }
            }
            _ => Self::read(subscriber, &room.0, stored, dice),
        }
    }

    fn connect(&mut self, room: &mut Room, stored: &Stored, dice: &mut Dice) {
        if dice.roll(4) == 0 && !self.client.has_ended {
            if dice.roll(4) == 0 {
                // Another process, or nobody followed the run for a while.
                room.0 =
                    SharedFeed::new(self.client.cursor, usize::try_from(dice.roll(5_000)).unwrap());
            }
            while !room.read(stored, dice) {}
            let outbox = Outbox::new(4, 12).holding(usize::try_from(1 + dice.roll(2_000)).unwrap());
            self.subscriber = Some(Subscriber::new(&room.0, self.client.cursor, outbox).unwrap());
        }
    }

    fn read(subscriber: &mut Subscriber, shared: &SharedFeed, stored: &Stored, dice: &mut Dice) {
        match subscriber.wants() {
            _ if subscriber.bytes().1 > 0 => {}
            Wants::Shared => {
                subscriber.take(shared);
            }
            Wants::Store(after) => {
                let most = usize::try_from(1 + dice.roll(4)).unwrap();
                subscriber.fold(stored.read_at(after, most, most)).unwrap();
            }
            Wants::Nothing => {}
        }
    }

    fn finish(&mut self, room: &mut Room, stored: &Stored, dice: &mut Dice) {
        while !self.client.has_ended {
            room.read(stored, dice);
            self.act(room, stored, dice);
        }
    }
}

/// The shared fold of a process.
struct Room(SharedFeed);

impl Room {
    /// Reads a page, or a hint. Returns whether the fold has everything that is stored.
    fn read(&mut self, stored: &Stored, dice: &mut Dice) -> bool {
        let most = usize::try_from(1 + dice.roll(4)).unwrap();
        let mut batch = stored.read_at(self.0.feed().reading(), most, most);
        if dice.roll(8) == 0 {
            batch.rows_end = false;
            batch.events_end = false;
            batch.events.clear();
        }
        let is_end = batch.events_end && batch.rows_end;
        self.0.take(batch).unwrap();
        self.0.feed().is_done() || (is_end && !self.0.feed().needs_rows())
    }
}

/// A process that believes that it owns the run.
struct Writer {
    /// The last version, as far as the process knows.
    version: u64,
    /// Number of rows written after it.
    rows: u64,
    /// Step to attempt, with its text so far.
    running: BTreeMap<u8, (u32, String)>,
}

struct World {
    stored: Stored,
    writer: Writer,
    zombie: Option<Writer>,
    attempts: BTreeMap<u8, u32>,
    full: BTreeMap<u8, String>,
    epoch: u64,
}

impl World {
    fn new() -> Self {
        let mut stored = Stored::default();
        for event in [requested(), planned(&[1, 2, 3]), claimed(1, &[])] {
            stored.append(event);
        }
        let writer = Writer { version: stored.version(), rows: 0, running: BTreeMap::new() };
        Self {
            stored,
            writer,
            zombie: None,
            attempts: BTreeMap::new(),
            full: BTreeMap::new(),
            epoch: 1,
        }
    }

    fn append(&mut self, event: claviger_domain::orchestration::RunEvent) {
        self.stored.append_counting(event, self.writer.rows);
        self.writer.version = self.stored.version();
        self.writer.rows = 0;
    }

    fn flush(writer: &mut Writer, stored: &mut Stored, dice: &mut Dice) {
        let mut items = Vec::new();
        for (step, (attempt, text)) in &mut writer.running {
            for _ in 0..dice.roll(3) {
                let piece = PIECES[usize::try_from(dice.roll(6)).unwrap()];
                items.push(item(*step, *attempt, text.len() as u64, piece));
                text.push_str(piece);
            }
        }
        if !items.is_empty() {
            writer.rows += 1;
            stored.rows.insert((writer.version, writer.rows), items);
        }
    }

    fn act(&mut self, dice: &mut Dice) {
        let n = u8::try_from(1 + dice.roll(3)).unwrap();
        match dice.roll(12) {
            0 => self.crash(dice),
            1 => self.fail(n),
            2 | 3 => self.complete(n),
            4 | 5 => self.start(n),
            6 => {
                if let Some(zombie) = &mut self.zombie {
                    Self::flush(zombie, &mut self.stored, dice);
                }
            }
            _ => Self::flush(&mut self.writer, &mut self.stored, dice),
        }
    }

    fn start(&mut self, n: u8) {
        if !self.full.contains_key(&n) && !self.writer.running.contains_key(&n) {
            let attempt = self.attempts.entry(n).or_default();
            *attempt += 1;
            let attempt = *attempt;
            self.append(started(n, attempt));
            self.writer.running.insert(n, (attempt, String::new()));
        }
    }

    fn fail(&mut self, n: u8) {
        if let Some((attempt, text)) = self.writer.running.remove(&n) {
            self.append(failed(n, attempt, FailureClass::Connection, text.len() as u64));
        }
    }

    fn complete(&mut self, n: u8) {
        if let Some((attempt, text)) = self.writer.running.remove(&n) {
            self.append(completed(n, attempt, &text));
            self.full.insert(n, text);
        }
    }

    /// Another process counts the rows, takes over the run and closes the running attempts. The
    /// previous process lives on and may write rows between the count and the claim, and later.
    fn crash(&mut self, dice: &mut Dice) {
        let running = std::mem::take(&mut self.writer.running);
        let kept: Vec<_> =
            running.iter().map(|(n, (attempt, text))| (*n, *attempt, text.len() as u64)).collect();
        let counted = self.writer.rows;
        let mut zombie = Writer { version: self.writer.version, rows: counted, running };
        if dice.roll(2) == 0 {
            Self::flush(&mut zombie, &mut self.stored, dice);
        }
        self.zombie = Some(zombie);
        self.epoch += 1;
        self.stored.append_counting(claimed(self.epoch, &kept), counted);
        self.writer.version = self.stored.version();
        self.writer.rows = 0;
        for (n, attempt, bytes) in kept {
            self.append(failed(n, attempt, FailureClass::Interrupted, bytes));
        }
    }

    fn end(&mut self) {
        for n in 1..=3 {
            self.start(n);
            self.complete(n);
        }
        self.append(done());
    }
}

fn check(world: &World, client: &Client, seed: u64) {
    let versions: Vec<u64> = (1..=world.stored.version()).collect();
    assert_eq!(client.versions, versions, "every event once, in order; seed {seed}");
    for (n, text) in &world.full {
        let held = client.held.get(&(step(*n), world.attempts[n]));
        assert_eq!(held, Some(text), "step {n}, seed {seed}");
    }
    for ((id, attempt), held) in &client.held {
        let n = u8::try_from(id.0.as_u128()).unwrap();
        assert!(
            *attempt == world.attempts[&n] || held.is_empty(),
            "step {n} attempt {attempt} is void, seed {seed}"
        );
    }
}

#[test]
fn every_reader_ends_with_every_text_byte_for_byte() {
    for seed in 0..3_000 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        let mut readers: Vec<_> = (0..3).map(|_| Reader::new()).collect();
        for _ in 0..dice.roll(120) {
            world.act(&mut dice);
            for reader in &mut readers {
                reader.act(&world.stored, &mut dice);
            }
        }
        world.end();
        let expires = dice.roll(3) == 0;
        for _ in 0..dice.roll(20) {
            for reader in &mut readers {
                reader.act(&world.stored, &mut dice);
            }
        }
        if expires {
            world.stored.rows.clear();
        }
        for reader in &mut readers {
            reader.finish(&world.stored);
            check(&world, &reader.client, seed);
        }
    }
}

#[test]
fn readers_that_share_a_fold_end_with_every_text_byte_for_byte() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        let reader = || Sharing { client: Client::default(), subscriber: None };
        let mut readers: Vec<_> = (0..3).map(|_| reader()).collect();
        let mut room = Room(SharedFeed::new(None, 2_000));
        for _ in 0..dice.roll(120) {
            world.act(&mut dice);
            if dice.roll(2) == 0 {
                room.read(&world.stored, &mut dice);
            }
            for reader in &mut readers {
                reader.act(&mut room, &world.stored, &mut dice);
            }
        }
        world.end();
        if dice.roll(3) == 0 {
            world.stored.rows.clear();
        }
        for reader in &mut readers {
            reader.finish(&mut room, &world.stored, &mut dice);
            check(&world, &reader.client, seed);
        }
    }
}
