//! Reads documents back into types. An invalid value is reported by document and field, never by
//! its content.

use super::boot::number;
use claviger_domain::id::write_hex;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::StoreError;
use mongodb::bson::{Bson, Document};
use std::fmt::Write as _;
use uuid::Uuid;

/// The fields of one document.
#[derive(Debug)]
pub(super) struct Cells {
    collection: &'static str,
    document: Document,
}

impl Cells {
    pub(super) fn new(collection: &'static str, document: Document) -> Self {
        Self { collection, document }
    }

    /// The error that names this document and one of its fields.
    pub(super) fn corrupt(&self, field: &str) -> StoreError {
        let mut name = format!("collection {}, document ", self.collection);
        match self.document.get("_id") {
            Some(id) => write_id(&mut name, id),
            None => name.push('?'),
        }
        name.push_str(", field ");
        name.push_str(field);
        StoreError::Corrupt(name)
    }

    /// Whether this is the `_id`.
    pub(super) fn is(&self, id: &Bson) -> bool {
        self.document.get("_id") == Some(id)
    }

    /// `_id`, as a document of its own.
    pub(super) fn key(&self) -> Result<Self, StoreError> {
        let key = self.document.get_document("_id").map_err(|_| self.corrupt("_id"))?;
        Ok(Self::new(self.collection, key.clone()))
    }

    /// A non-negative integer.
    pub(super) fn u64(&self, field: &str) -> Result<u64, StoreError> {
        let found = number(self.document.get(field)).and_then(|found| u64::try_from(found).ok());
        found.ok_or_else(|| self.corrupt(field))
    }

    /// A non-negative integer of at most 32 bits.
    pub(super) fn u32(&self, field: &str) -> Result<u32, StoreError> {
        u32::try_from(self.u64(field)?).map_err(|_| self.corrupt(field))
    }

    /// A whole number that fits into 32 bits, or nothing.
    pub(super) fn opt_u32(&self, field: &str) -> Result<Option<u32>, StoreError> {
        if self.is_absent(field) { Ok(None) } else { self.u32(field).map(Some) }
    }

    /// A point in time.
    pub(super) fn time(&self, field: &str) -> Result<Timestamp, StoreError> {
        self.u64(field).map(Timestamp)
    }

    pub(super) fn bool(&self, field: &str) -> Result<bool, StoreError> {
        self.document.get_bool(field).map_err(|_| self.corrupt(field))
    }

    fn is_absent(&self, field: &str) -> bool {
        matches!(self.document.get(field), None | Some(Bson::Null))
    }

    /// Bytes, or `None` if absent.
    pub(super) fn opt_bytes(&self, field: &str) -> Result<Option<&[u8]>, StoreError> {
        if self.is_absent(field) {
            return Ok(None);
        }
        let Some(Bson::Binary(binary)) = self.document.get(field) else {
            return Err(self.corrupt(field));
        };
        Ok(Some(&binary.bytes))
    }

    pub(super) fn bytes(&self, field: &str) -> Result<&[u8], StoreError> {
        self.opt_bytes(field)?.ok_or_else(|| self.corrupt(field))
    }

    /// Exactly `N` bytes, or `None` if absent.
    pub(super) fn opt_array<const N: usize>(
        &self,
        field: &str,
    ) -> Result<Option<[u8; N]>, StoreError> {
        let bytes = self.opt_bytes(field)?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| self.corrupt(field))).transpose()
    }

    /// Exactly `N` bytes.
    pub(super) fn array<const N: usize>(&self, field: &str) -> Result<[u8; N], StoreError> {
        self.opt_array(field)?.ok_or_else(|| self.corrupt(field))
    }

    pub(super) fn opt_id(&self, field: &str) -> Result<Option<Uuid>, StoreError> {
        Ok(self.opt_array(field)?.map(Uuid::from_bytes))
    }

    pub(super) fn id(&self, field: &str) -> Result<Uuid, StoreError> {
        self.array(field).map(Uuid::from_bytes)
    }

    pub(super) fn ids(&self, field: &str) -> Result<Vec<Uuid>, StoreError> {
        let array = self.document.get_array(field).map_err(|_| self.corrupt(field))?;
        let id = |value: &Bson| {
            let Bson::Binary(binary) = value else { return Err(self.corrupt(field)) };
            Uuid::from_slice(&binary.bytes).map_err(|_| self.corrupt(field))
        };
        array.iter().map(id).collect()
    }

    /// Text, or `None` if absent.
    pub(super) fn opt_text(&self, field: &str) -> Result<Option<&str>, StoreError> {
        if self.is_absent(field) {
            return Ok(None);
        }
        self.document.get_str(field).map(Some).map_err(|_| self.corrupt(field))
    }

    pub(super) fn text(&self, field: &str) -> Result<&str, StoreError> {
        self.opt_text(field)?.ok_or_else(|| self.corrupt(field))
    }

    pub(super) fn stream(&self, field: &str) -> Result<StreamName, StoreError> {
        StreamName::parse(self.text(field)?).ok_or_else(|| self.corrupt(field))
    }
}

/// Ids, numbers and names of streams: the values in `_id` are never personal data.
fn write_id(name: &mut String, id: &Bson) {
    // Formatting into a string cannot fail.
    if let Bson::Binary(binary) = id {
        write_hex(name, &binary.bytes).unwrap_or_default();
    } else if let Bson::String(text) = id {
        name.push_str(text);
    } else if let Bson::Document(key) = id {
        for (at, (_, part)) in key.iter().enumerate() {
            if at > 0 {
                name.push('/');
            }
            write_id(name, part);
        }
    } else if let Some(number) = number(Some(id)) {
        write!(name, "{number}").unwrap_or_default();
    } else {
        name.push('?');
    }
}

/// A number as it is stored, capped at the largest that can be stored. For bounds of queries.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as the server takes it. 0 would mean no limit, so a caller that wants nothing must not
/// query.
pub(super) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
