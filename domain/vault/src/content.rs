//! Seals the personal content of events, its copies in views, and the text of replies in progress.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use crate::keys::ContentKey;
use crate::sealed_box::{Ad, OVERHEAD, open, seal};
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Maximum content bytes in one box. Longer content is split, so that no row exceeds the size that
/// stores handle well.
pub const PIECE_LEN: usize = 262_144;

const CUT: VaultError = VaultError::Malformed("content is not split into pieces of 262,144 bytes");

/// The place that an event's content is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentAd<'a> {
    /// The user who owns the stream.
    pub owner: UserId,
    /// The event's stream.
    pub stream: StreamName,
    /// The event's version in the stream, from 1.
    pub version: u64,
    /// The event's type name.
    pub kind: &'a str,
    /// Schema version of the type, as stored.
    pub schema: u32,
}

/// The place that a view row's content is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewAd<'a> {
    /// The user who owns the row.
    pub owner: UserId,
    /// The stream that the row was folded from; its content key seals the row.
    pub stream: StreamName,
    /// The view's name.
    pub view: &'a str,
    /// Id of the row.
    pub row: Uuid,
}

/// The place that a row of a run's text is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaAd {
    /// The user who owns the run.
    pub owner: UserId,
    /// The run's stream; its content key seals the row.
    pub stream: StreamName,
    /// Version of the event that the row follows.
    pub v: u64,
    /// Number of the row after that event, from 1.
    pub d: u64,
}

fn content_ad(ad: &ContentAd<'_>, index: u64, count: u64) -> Ad {
    Ad::new("claviger/content/1")
        .id(ad.owner.0)
        .text(&ad.stream.to_string())
        .int(ad.version)
        .text(ad.kind)
        .int(ad.schema)
        .int(index)
        .int(count)
}

fn view_ad(ad: &ViewAd<'_>) -> Ad {
    Ad::new("claviger/view/1").id(ad.owner.0).text(&ad.stream.to_string()).text(ad.view).id(ad.row)
}

fn delta_ad(ad: &DeltaAd) -> Ad {
    Ad::new("claviger/delta/1").id(ad.owner.0).text(&ad.stream.to_string()).int(ad.v).int(ad.d)
}

/// Seals an event's content: one box up to [`PIECE_LEN`] bytes, otherwise one box per piece, in
/// order. Never empty.
///
/// Content is sealed before the event's version is certain. A writer that loses the race for the
/// version seals again for the next one.
///
/// # Errors
/// [`VaultError::TooLong`]; no piece is that long.
pub fn seal_content(
    key: &ContentKey,
    ad: &ContentAd<'_>,
    json: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<Vec<u8>>> {
    let mut pieces: Vec<&[u8]> = json.chunks(PIECE_LEN).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let count = pieces.len() as u64;
    (0..)
        .zip(pieces)
        .map(|(index, piece)| seal(key.as_bytes(), &content_ad(ad, index, count), piece, entropy))
        .collect()
}

/// Opens the boxes made by [`seal_content`]: all boxes of an event, in order. The text is wiped
/// when dropped.
///
/// # Errors
/// [`VaultError::Malformed`] for an empty list or for pieces of other lengths than the format's;
/// [`VaultError::WrongKey`]; [`VaultError::Tampered`], also when a box is missing, added or out of
/// order.
pub fn open_content(
    key: &ContentKey,
    ad: &ContentAd<'_>,
    boxes: &[Vec<u8>],
) -> Result<Zeroizing<Vec<u8>>> {
    let (last, full) =
        boxes.split_last().ok_or(VaultError::Malformed("content must have at least one box"))?;
    if full.iter().any(|piece| piece.len() != PIECE_LEN + OVERHEAD)
        || last.len() > PIECE_LEN + OVERHEAD
        || (!full.is_empty() && last.len() == OVERHEAD)
    {
        return Err(CUT);
    }
    let count = boxes.len() as u64;
    // Allocated at full size: a growing buffer would leave copies of the text behind.
    let mut json = Zeroizing::new(Vec::with_capacity(boxes.iter().map(Vec::len).sum()));
    for (index, piece) in (0..).zip(boxes) {
        json.extend_from_slice(&open(key.as_bytes(), &content_ad(ad, index, count), piece)?);
    }
    Ok(json)
}

/// Seals the personal part of a view's row under the key of the stream that the row was folded
/// from, so destroying that key destroys the row's content too. A view is not authoritative: an
/// older row that is put back still opens, and the next rebuild corrects it.
///
/// # Errors
/// [`VaultError::TooLong`]; no row is that long.
pub fn seal_view(
    key: &ContentKey,
    ad: &ViewAd<'_>,
    json: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(key.as_bytes(), &view_ad(ad), json, entropy)
}

/// Opens a box made by [`seal_view`]. The text is wiped when dropped.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn open_view(key: &ContentKey, ad: &ViewAd<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    open(key.as_bytes(), &view_ad(ad), sealed)
}

/// Seals a row of a run's text: pieces of a reply that is not complete yet. Seal each row once: a
/// flush with an unknown outcome is repeated with the same bytes, and the store refuses other bytes
/// for the same row.
///
/// # Errors
/// [`VaultError::TooLong`]; no row is that long.
pub fn seal_delta(
    key: &ContentKey,
    ad: &DeltaAd,
    json: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(key.as_bytes(), &delta_ad(ad), json, entropy)
}

/// Opens a box made by [`seal_delta`]. The text is wiped when dropped.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn open_delta(key: &ContentKey, ad: &DeltaAd, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    open(key.as_bytes(), &delta_ad(ad), sealed)
}
