//! What is done to each table: a row deleted, a column edited, two rows' values swapped, an old one
//! put back. Afterwards everything is as it was.

use super::example::Example;
use super::list::{Cell, Found, Line};
use super::tables::{Row, Tables};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson};

/// How many cases are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// A row of each table deleted, and every fourth column edited.
    Brief,
    Full,
}

/// The cases in the tables that are wanted. Each table and column gets a line.
pub(super) async fn every_case(
    example: &Example,
    depth: Depth,
    wanted: impl Fn(&str) -> bool,
) -> Found {
    let mut found = Found::default();
    let mut tables = Tables::of(&example.opened, &example.dir);
    let names = tables.names().await.into_iter().filter(|name| wanted(name));
    for table in names.collect::<Vec<_>>() {
        let mut rows = tables.rows(&table).await;
        // Some keys are chance: the log's order is the same each time.
        rows.sort_by_key(|row| row.get("position").and_then(Bson::as_i64));
        let columns = tables.columns(&table).await;
        let old = example.old.get(&table).cloned().unwrap_or_default();
        let mut at = At { example, tables: &mut tables, table: &table, rows: &rows, old: &old };
        let mut line = Line { deleted: at.deleted(depth).await, ..Line::default() };
        if depth == Depth::Full {
            (line.added, line.old) = (at.added().await, at.old_rows().await);
        }
        found.0.insert(table.clone(), line);
        for (n, column) in columns.into_iter().enumerate() {
            let line = match depth {
                Depth::Brief if n % 4 > 0 => Line::default(),
                Depth::Brief | Depth::Full => at.column(&column, depth).await,
            };
            found.0.insert(format!("{table}.{column}"), line);
        }
        // The store that is open writes the line of its process and its leases as it goes.
        if !["leases", "processes"].contains(&table.as_str()) {
            assert!(sorted(tables.rows(&table).await) == sorted(rows), "{table} was not restored");
        }
    }
    found
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_cached_key(ToString::to_string);
    rows
}

/// One table, its rows, and those that it had before.
struct At<'a> {
    example: &'a Example,
    tables: &'a mut Tables,
    table: &'a str,
    rows: &'a [Row],
    old: &'a [Row],
}

impl At<'_> {
    /// A row more: like another one, but for a part of its key.
    async fn added(&mut self) -> Cell {
        let mut cell = Cell::default();
        let more: Vec<Row> = match self.rows.first() {
            None => self.tables.made_up(self.table).into_iter().collect(),
            Some(row) => self
                .tables
                .key(self.table, row)
                .keys()
                .flat_map(|column| {
                    edits(row.get(column), 1).into_iter().map(|edit| {
                        let mut more = row.clone();
                        more.insert(column.clone(), edit);
                        more
                    })
                })
                .collect(),
        };
        for row in more {
            self.tried(&[], &[row], &mut cell).await;
        }
        cell
    }

    async fn deleted(&mut self, depth: Depth) -> Cell {
        let mut cell = Cell::default();
        for row in sample(self.rows, depth) {
            self.tried(std::slice::from_ref(row), &[], &mut cell).await;
        }
        cell
    }

    async fn old_rows(&mut self) -> Cell {
        let mut cell = Cell::default();
        let changed: Vec<(Option<Row>, Row)> = self
            .old
            .iter()
            .map(|old| (self.now(old), old.clone()))
            .filter(|(now, old)| now.as_ref() != Some(old))
            .collect();
        for (now, old) in &changed {
            let now: Vec<Row> = now.iter().cloned().collect();
            self.tried(&now, std::slice::from_ref(old), &mut cell).await;
        }
        cell
    }

    /// The row that an old row has become.
    fn now(&self, old: &Row) -> Option<Row> {
        let key = self.tables.key(self.table, old);
        self.rows.iter().find(|row| self.tables.key(self.table, row) == key).cloned()
    }

    async fn column(&mut self, column: &str, depth: Depth) -> Line {
        let mut line = Line::default();
        let (with, without): (Vec<&Row>, Vec<&Row>) = self
            .rows
            .iter()
            .partition(|row| row.get(column).is_some_and(|cell| *cell != Bson::Null));
        let mut candidates = if with.is_empty() { without } else { with };
        // The row with the largest number last: what was counted up is not as it began.
        candidates.sort_by_key(|row| row.get(column).and_then(Bson::as_i64));
        for (step, row) in [-1, 1].into_iter().zip(sample(&candidates, depth)) {
            for step in [step, step * 1000] {
                let tried = line.edited.tried;
                for cell in edits(row.get(column), step) {
                    let mut edited = (*row).clone();
                    edited.insert(column, cell);
                    self.tried(&[(*row).clone()], &[edited], &mut line.edited).await;
                }
                // Further away, if the store has such a row already.
                if line.edited.tried > tried {
                    break;
                }
            }
        }
        if depth == Depth::Brief {
            return line;
        }
        self.swapped(column, &mut line.swapped).await;
        for old in self.old {
            let Some(now) = self.now(old) else { continue };
            if let Some(cell) = old.get(column).filter(|cell| now.get(column) != Some(cell)) {
                let mut back = now.clone();
                back.insert(column, cell.clone());
                self.tried(&[now], &[back], &mut line.old).await;
            }
        }
        line
    }

    async fn swapped(&mut self, column: &str, cell: &mut Cell) {
        let Some(a) = self.rows.iter().find(|row| row.contains_key(column)) else { return };
        let other = self
            .rows
            .iter()
            .rev()
            .find(|b| b.get(column).is_some() && b.get(column) != a.get(column));
        let Some(b) = other else { return };
        let (mut to_a, mut to_b) = (a.clone(), b.clone());
        to_a.insert(column, b[column].clone());
        to_b.insert(column, a[column].clone());
        // Two rows that differ in nothing else have only changed places.
        if to_a != *b {
            self.tried(&[a.clone(), b.clone()], &[to_a, to_b], cell).await;
        }
    }

    /// Changes rows, verifies, and changes them back.
    async fn tried(&mut self, remove: &[Row], add: &[Row], cell: &mut Cell) {
        if !self.tables.change(self.table, remove, add).await {
            return;
        }
        let keys = self.tables.rows("store_keys").await;
        cell.tried += 1;
        if self.example.finds(self.table).await {
            cell.found += 1;
        }
        // A store without its own keys gets new ones when it is opened.
        let now = self.tables.rows("store_keys").await;
        if now != keys {
            assert!(self.tables.change("store_keys", &now, &keys).await);
        }
        assert!(self.tables.restore(self.table, add, remove).await, "{} stays broken", self.table);
    }
}

/// The first and the last, or only the first.
fn sample<T>(rows: &[T], depth: Depth) -> impl Iterator<Item = &T> {
    let last = if rows.len() > 1 && depth == Depth::Full { rows.last() } else { None };
    rows.first().into_iter().chain(last)
}

/// Other values of the same type; a number changes by this step.
fn edits(cell: Option<&Bson>, step: i32) -> Vec<Bson> {
    match cell {
        // Flags, too.
        Some(Bson::Int64(number @ (0 | 1))) => vec![Bson::Int64(1 - number)],
        Some(Bson::Int64(number)) => vec![Bson::Int64(number + i64::from(step))],
        Some(Bson::Int32(number)) => vec![Bson::Int32(number + step)],
        Some(Bson::Boolean(is)) => vec![Bson::Boolean(!is)],
        Some(Bson::String(text)) => vec![Bson::String(other_text(text))],
        Some(Bson::Binary(binary)) => {
            let mut bytes = binary.bytes.clone();
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                None => bytes.push(1),
            }
            vec![Bson::Binary(Binary { subtype: binary.subtype, bytes })]
        }
        Some(Bson::Array(items)) => {
            let mut fewer = items.clone();
            fewer.pop();
            vec![Bson::Array(fewer)]
        }
        Some(Bson::Document(parts)) => {
            let mut parts = parts.clone();
            if let Some((name, cell)) =
                parts.iter().last().map(|(name, cell)| (name.clone(), cell.clone()))
            {
                for cell in edits(Some(&cell), step) {
                    parts.insert(name.clone(), cell);
                }
            }
            vec![Bson::Document(parts)]
        }
        // Nothing is there: something, of each type that a column may have.
        Some(_) | None => vec![
            Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![7; 16] }),
            Bson::String("session".to_owned()),
            Bson::Int64(1),
        ],
    }
}

fn other_text(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    match characters.last_mut() {
        Some(last) => *last = if *last == '0' { '1' } else { '0' },
        None => characters.push('0'),
    }
    characters.into_iter().collect()
}
