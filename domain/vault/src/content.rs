//! The personal half of events, the copies of it in views, and the text of replies under way.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use crate::keys::ContentKey;
use crate::sealed_box::{Ad, OVERHEAD, open, seal};
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Most bytes of content in one box: longer content is cut, so that no row of a store grows beyond what the store takes well.
pub const PIECE_LEN: usize = 262_144;

const CUT: VaultError = VaultError::Malformed("content isn't cut into pieces of 262,144 bytes");

/// Where the content of an event belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentAd<'a> {
    /// Whose stream it is.
    pub owner: UserId,
    /// The stream.
    pub stream: StreamName,
    /// The event's place in the stream, from 1.
    pub version: u64,
    /// The event's type name.
    pub kind: &'a str,
    /// Version of the type's shape, as it was stored.
    pub schema: u32,
}

/// Where the content of a view's row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewAd<'a> {
    /// Whose row it is.
    pub owner: UserId,
    /// The stream it was folded from, whose content key seals it.
    pub stream: StreamName,
    /// The view's name.
    pub view: &'a str,
    /// The row.
    pub row: Uuid,
}

/// Where a row of a run's text belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaAd {
    /// Whose run it is.
    pub owner: UserId,
    /// The run's stream, whose content key seals it.
    pub stream: StreamName,
    /// Version of the event it comes after.
    pub v: u64,
    /// Which row after that event, from 1.
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

/// Seals an event's content: one box up to [`PIECE_LEN`] bytes, else one box per piece, in their order. Never empty.
///
/// Sealed before the event's version is certain: whoever loses the race for it seals anew for the next one.
///
/// # Errors
/// [`VaultError::TooLong`], which no piece is.
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

/// Opens what [`seal_content`] made: all boxes of an event, in their order. The text is wiped when dropped.
///
/// # Errors
/// [`VaultError::Malformed`] for no box at all, or another cut than the format's; [`VaultError::WrongKey`];
/// [`VaultError::Tampered`], also for a box missing, added or out of its place.
pub fn open_content(
    key: &ContentKey,
    ad: &ContentAd<'_>,
    boxes: &[Vec<u8>],
) -> Result<Zeroizing<Vec<u8>>> {
    let (last, full) =
        boxes.split_last().ok_or(VaultError::Malformed("content has at least one box"))?;
    if full.iter().any(|piece| piece.len() != PIECE_LEN + OVERHEAD)
        || last.len() > PIECE_LEN + OVERHEAD
        || (!full.is_empty() && last.len() == OVERHEAD)
    {
        return Err(CUT);
    }
    let count = boxes.len() as u64;
    // As large as it will get: growing would leave copies of the text behind.
    let mut json = Zeroizing::new(Vec::with_capacity(boxes.iter().map(Vec::len).sum()));
    for (index, piece) in (0..).zip(boxes) {
        json.extend_from_slice(&open(key.as_bytes(), &content_ad(ad, index, count), piece)?);
    }
    Ok(json)
}

/// Seals the personal part of a view's row under the key of the stream it was folded from, so that destroying that key destroys it too.
/// A view is no authority: an older row put back opens, and the next rebuild mends it.
///
/// # Errors
/// [`VaultError::TooLong`], which no row is.
pub fn seal_view(
    key: &ContentKey,
    ad: &ViewAd<'_>,
    json: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(key.as_bytes(), &view_ad(ad), json, entropy)
}

/// Opens what [`seal_view`] made. The text is wiped when dropped.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn open_view(key: &ContentKey, ad: &ViewAd<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    open(key.as_bytes(), &view_ad(ad), sealed)
}

/// Seals a row of a run's text: pieces of a reply before it is whole. Once only: a flush of unknown outcome is repeated with these bytes,
/// and other bytes for the same row are refused by the store.
///
/// # Errors
/// [`VaultError::TooLong`], which no row is.
pub fn seal_delta(
    key: &ContentKey,
    ad: &DeltaAd,
    json: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(key.as_bytes(), &delta_ad(ad), json, entropy)
}

/// Opens what [`seal_delta`] made. The text is wiped when dropped.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn open_delta(key: &ContentKey, ad: &DeltaAd, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    open(key.as_bytes(), &delta_ad(ad), sealed)
}
