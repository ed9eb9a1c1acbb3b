//! Reads rows back into types. An invalid value is reported by row and column, never by its
//! content.

use claviger_domain::id::write_hex;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::StoreError;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

/// The cells of one row, taken from left to right. The first column names the row in errors.
#[expect(missing_debug_implementations, reason = "a borrowed row")]
pub struct Cells<'row, 'stmt> {
    row: &'row Row<'stmt>,
    table: &'static str,
    next: usize,
    bytes: usize,
}

impl<'row, 'stmt> Cells<'row, 'stmt> {
    pub fn new(table: &'static str, row: &'row Row<'stmt>) -> Self {
        Self { row, table, next: 0, bytes: 0 }
    }

    /// Bytes of texts and blobs taken so far.
    pub fn bytes_taken(&self) -> usize {
        self.bytes
    }

    /// The error that names this row and the column taken last.
    pub fn corrupt(&self) -> StoreError {
        let mut name = format!("table {}, row ", self.table);
        match self.row.get_ref(0) {
            Ok(ValueRef::Integer(number)) => name.push_str(&number.to_string()),
            Ok(ValueRef::Text(bytes)) => name.push_str(&String::from_utf8_lossy(bytes)),
            // Formatting into a string cannot fail.
            Ok(ValueRef::Blob(bytes)) => drop(write_hex(&mut name, bytes)),
            Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => name.push('?'),
        }
        name.push_str(", column ");
        name.push_str(self.row.as_ref().column_name(self.next.saturating_sub(1)).unwrap_or("?"));
        StoreError::Corrupt(name)
    }

    fn take(&mut self) -> Result<ValueRef<'row>, StoreError> {
        let at = self.next;
        self.next += 1;
        let cell = self.row.get_ref(at).map_err(|_| self.corrupt())?;
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = cell {
            self.bytes = self.bytes.saturating_add(bytes.len());
        }
        Ok(cell)
    }

    /// A non-negative integer.
    pub fn u64(&mut self) -> Result<u64, StoreError> {
        match self.take()? {
            ValueRef::Integer(number) => u64::try_from(number).map_err(|_| self.corrupt()),
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                Err(self.corrupt())
            }
        }
    }

    /// A non-negative integer of at most 32 bits.
    pub fn u32(&mut self) -> Result<u32, StoreError> {
        u32::try_from(self.u64()?).map_err(|_| self.corrupt())
    }

    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.u64().map(Timestamp)
    }

    /// Bytes, or `None` for NULL.
    pub fn opt_bytes(&mut self) -> Result<Option<&'row [u8]>, StoreError> {
        match self.take()? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => Err(self.corrupt()),
        }
    }

    pub fn bytes(&mut self) -> Result<&'row [u8], StoreError> {
        self.opt_bytes()?.ok_or_else(|| self.corrupt())
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| self.corrupt())
    }

    /// Exactly `N` bytes, or `None` for NULL.
    pub fn opt_array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, StoreError> {
        let bytes = self.opt_bytes()?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| self.corrupt())).transpose()
    }

    pub fn id(&mut self) -> Result<Uuid, StoreError> {
        self.array().map(Uuid::from_bytes)
    }

    pub fn opt_id(&mut self) -> Result<Option<Uuid>, StoreError> {
        Ok(self.opt_array()?.map(Uuid::from_bytes))
    }

    /// Text, or `None` for NULL.
    pub fn opt_text(&mut self) -> Result<Option<&'row str>, StoreError> {
        match self.take()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| self.corrupt())
            }
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Err(self.corrupt()),
        }
    }

    pub fn text(&mut self) -> Result<&'row str, StoreError> {
        self.opt_text()?.ok_or_else(|| self.corrupt())
    }

    pub fn stream(&mut self) -> Result<StreamName, StoreError> {
        let text = self.text()?;
        StreamName::parse(text).ok_or_else(|| self.corrupt())
    }
}

/// A number as SQLite stores it, capped at the largest that it can store. For bounds of queries.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as SQLite stores it.
pub(super) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
