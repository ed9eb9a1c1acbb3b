//! Cursors (`ops/docs/FORMATS.md`, section 5): opaque to clients, base64url of a kind byte and a
//! payload.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_projections::run_feed::FeedCursor;
use uuid::Uuid;

const EVENT: u8 = 1;
const KEY: u8 = 2;
const RUN_FEED: u8 = 3;
const RUN: u8 = 4;

/// The cursor of an event, the same in every list of events.
pub fn of_event(position: u64) -> String {
    let mut bytes = vec![EVENT];
    bytes.extend_from_slice(&position.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor of a row in the list of keys.
pub fn of_key(created_at: u64, id: Uuid) -> String {
    of_row(KEY, created_at, id)
}

/// The cursor of a row in the list of runs.
pub fn of_run(created_at: u64, id: Uuid) -> String {
    of_row(RUN, created_at, id)
}

fn of_row(kind: u8, created_at: u64, id: Uuid) -> String {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&created_at.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor of a message in a run's feed.
pub fn of_run_feed(run: RunId, place: FeedCursor) -> String {
    let mut bytes = vec![RUN_FEED];
    bytes.extend_from_slice(run.0.as_bytes());
    bytes.extend_from_slice(&place.v.to_be_bytes());
    bytes.extend_from_slice(&place.d.to_be_bytes());
    bytes.extend_from_slice(&place.i.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes an event's cursor.
///
/// # Errors
/// `CURSOR_INVALID` for what is not a cursor of this kind.
pub fn to_event(text: &str) -> Result<u64, Failure> {
    let payload: [u8; 8] = payload(text, EVENT)?.try_into().map_err(|_| invalid())?;
    Ok(u64::from_be_bytes(payload))
}

/// Decodes a cursor of the list of keys.
///
/// # Errors
/// `CURSOR_INVALID` for what is not a cursor of this kind.
pub fn to_key(text: &str) -> Result<(u64, Uuid), Failure> {
    to_row(text, KEY)
}

/// Decodes a cursor of the list of runs.
///
/// # Errors
/// `CURSOR_INVALID` for what is not a cursor of this kind.
pub fn to_run(text: &str) -> Result<(u64, Uuid), Failure> {
    to_row(text, RUN)
}

fn to_row(text: &str, kind: u8) -> Result<(u64, Uuid), Failure> {
    let payload = payload(text, kind)?;
    let (created_at, id) = payload.split_at_checked(8).ok_or_else(invalid)?;
    let created_at: [u8; 8] = created_at.try_into().map_err(|_| invalid())?;
    let id: [u8; 16] = id.try_into().map_err(|_| invalid())?;
    Ok((u64::from_be_bytes(created_at), Uuid::from_bytes(id)))
}

/// Decodes a cursor of this run's feed. A cursor of another run is invalid.
///
/// # Errors
/// `CURSOR_INVALID`.
pub fn to_run_feed(text: &str, run: RunId) -> Result<FeedCursor, Failure> {
    let payload: [u8; 36] = payload(text, RUN_FEED)?.try_into().map_err(|_| invalid())?;
    let place = payload.strip_prefix(run.0.as_bytes()).ok_or_else(invalid)?;
    let (v, rest) = place.split_first_chunk().ok_or_else(invalid)?;
    let (d, i) = rest.split_first_chunk().ok_or_else(invalid)?;
    let i = i.try_into().map_err(|_| invalid())?;
    Ok(FeedCursor {
        v: u64::from_be_bytes(*v),
        d: u64::from_be_bytes(*d),
        i: u32::from_be_bytes(i),
    })
}

fn payload(text: &str, kind: u8) -> Result<Vec<u8>, Failure> {
    if text.len() > 100 {
        return Err(invalid());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    match bytes.split_first() {
        Some((found, payload)) if *found == kind => Ok(payload.to_vec()),
        _ => Err(invalid()),
    }
}

fn invalid() -> Failure {
    Failure::new(
        ErrorCode::CursorInvalid,
        "the cursor does not belong to this list: take one from its edges or pageInfo, or omit it to start over",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn cursors_match_the_golden_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../ops/formats/vectors.json")).unwrap();
        let cursors = vectors["cursors"].as_array().unwrap();
        assert!(cursors.len() >= 2);
        for vector in cursors {
            let text = vector["cursor"].as_str().unwrap();
            if vector["kind"] == 1 {
                let position = vector["position"].as_u64().unwrap();
                assert_eq!(of_event(position), text);
                assert_eq!(to_event(text), Ok(position));
                assert!(to_key(text).is_err(), "a cursor is valid only for its own kind of list");
            } else if vector["kind"] == 3 {
                let run = RunId(vector["run_id"].as_str().unwrap().parse().unwrap());
                let number = |name: &str| vector[name].as_u64().unwrap();
                let place = FeedCursor {
                    v: number("v"),
                    d: number("d"),
                    i: number("i").try_into().unwrap(),
                };
                assert_eq!(of_run_feed(run, place), text);
                assert_eq!(to_run_feed(text, run), Ok(place));
                assert!(
                    to_run_feed(text, RunId(Uuid::nil())).is_err(),
                    "a cursor is valid only for its own run"
                );
                assert!(
                    to_event(text).is_err() && to_key(text).is_err(),
                    "a cursor is valid only for its own kind of list"
                );
            } else if vector["kind"] == 4 {
                let (at, id) = (
                    vector["created_at"].as_u64().unwrap(),
                    vector["run_id"].as_str().unwrap().parse().unwrap(),
                );
                assert_eq!(of_run(at, id), text);
                assert_eq!(to_run(text), Ok((at, id)));
                assert!(
                    to_event(text).is_err() && to_key(text).is_err(),
                    "a cursor is valid only for its own kind of list"
                );
            } else {
                let (at, id) = (
                    vector["created_at"].as_u64().unwrap(),
                    vector["key_id"].as_str().unwrap().parse().unwrap(),
                );
                assert_eq!(of_key(at, id), text);
                assert_eq!(to_key(text), Ok((at, id)));
                assert!(
                    to_event(text).is_err() && to_run(text).is_err(),
                    "a cursor is valid only for its own kind of list"
                );
            }
        }
    }

    #[test]
    fn an_invalid_cursor_is_refused() {
        assert!(to_run("BAAAAAAAAAAB").is_err());
        for text in [
            "",
            "AQ",
            "AQAAAAAAAAAB=",
            "AQAAAAAAAAABAA",
            "AgAAAAAAAAAB",
            "AAAAAAAAAAAB",
            "!",
            &"A".repeat(1000),
        ] {
            assert_eq!(to_event(text).unwrap_err().code, ErrorCode::CursorInvalid, "{text}");
            assert_eq!(to_key(text).unwrap_err().code, ErrorCode::CursorInvalid, "{text}");
        }
    }
}
