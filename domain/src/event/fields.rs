//! Length-prefixed fields.

use uuid::Uuid;

/// Length-prefixed fields: every sequence of fields that is hashed, signed or sealed is encoded
/// this way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// No fields yet, with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds `u32 length ‖ bytes`. Callers bound their fields long before 4 GiB, where the length
    /// would overflow.
    pub fn push(&mut self, field: &[u8]) -> &mut Self {
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Adds the 16 bytes of an id, or the empty field for an absent one.
    pub fn push_id(&mut self, id: Option<Uuid>) -> &mut Self {
        match id {
            Some(id) => self.push(id.as_bytes()),
            None => self.push(&[]),
        }
    }

    /// The encoded fields.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded fields, without a copy.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
