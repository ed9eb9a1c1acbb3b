//! A message as a stream of server-sent events.

use super::config::SimulatorConfig;
use super::gate::Gate;
use super::messages::{Said, usage};
use super::script::{Ending, Reply, Usage};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One write, and the delay before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) wait: Duration,
    pub(super) bytes: Bytes,
    /// Passed before the delay.
    pub(super) gate: Option<Gate>,
}

impl Piece {
    /// Bytes that only the delay holds up.
    pub(super) const fn new(wait: Duration, bytes: Bytes) -> Self {
        Self { wait, bytes, gate: None }
    }
}

/// What follows the last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The regular end of the body.
    Proper,
    /// A broken connection.
    Cut,
    Silence,
}

fn event(wait: Duration, data: &Value) -> Piece {
    let name = data.get("type").and_then(Value::as_str).unwrap_or("ping");
    Piece::new(wait, Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
}

/// The whole stream, before any of it is sent.
pub(super) fn pieces(said: &Said, reply: &Reply, usual: &SimulatorConfig) -> (Vec<Piece>, End) {
    let delay = reply.chunk_delay.unwrap_or(usual.chunk_delay);
    let (last, end) = match reply.ending {
        Ending::Whole => (usize::MAX, End::Proper),
        Ending::CutAfter(last) => (last, End::Cut),
        Ending::CutAtByte(_) => (usize::MAX, End::Cut),
        Ending::ErrorAfter(last) | Ending::ErrorOfType(last, _) => (last, End::Proper),
        Ending::HangAfter(last) => (last, End::Silence),
    };
    let mut events = opening(said);
    let first = events.len();
    let letters: Vec<char> = said.text.chars().collect();
    let size = if reply.chunk_chars == 0 { usual.chunk_chars.max(1) } else { reply.chunk_chars };
    let texts = letters.chunks(size).map(|chunk| chunk.iter().collect::<String>());
    events.extend(texts.take(last).map(|text| {
        let delta = json!({"type": "text_delta", "text": text});
        event(delay, &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    match reply.ending {
        Ending::Whole | Ending::CutAtByte(_) => events.extend(closing(said)),
        Ending::ErrorAfter(_) => events.push(error(delay, "overloaded_error")),
        Ending::ErrorOfType(_, kind) => events.push(error(delay, kind)),
        Ending::CutAfter(_) | Ending::HangAfter(_) => {}
    }
    if let Some((piece, gate)) = &reply.gate
        && let Some(held) = events.get_mut(first.saturating_add(*piece))
    {
        held.gate = Some(gate.clone());
    }
    if let Some((at, noise)) = &reply.noise {
        events = with_noise(events, *at, noise);
    }
    if let Ending::CutAtByte(at) = reply.ending {
        events = split_at(events, at).0;
    }
    (torn(events, reply.split_bytes), end)
}

fn error(wait: Duration, kind: &str) -> Piece {
    let message = if kind == "overloaded_error" { "Overloaded" } else { "Simulated" };
    event(wait, &json!({"type": "error", "error": {"type": kind, "message": message}}))
}

/// The pieces before and after the byte at this offset.
fn split_at(pieces: Vec<Piece>, mut at: usize) -> (Vec<Piece>, Vec<Piece>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for mut piece in pieces {
        let rest = piece.bytes.split_off(at.min(piece.bytes.len()));
        at = at.saturating_sub(piece.bytes.len());
        if piece.bytes.is_empty() {
            after.push(Piece { bytes: rest, ..piece });
            continue;
        }
        before.push(piece);
        if !rest.is_empty() {
            after.push(Piece::new(Duration::ZERO, rest));
        }
    }
    (before, after)
}

fn with_noise(pieces: Vec<Piece>, at: usize, noise: &[u8]) -> Vec<Piece> {
    let (mut pieces, after) = split_at(pieces, at);
    pieces.push(Piece::new(Duration::ZERO, Bytes::copy_from_slice(noise)));
    pieces.extend(after);
    pieces
}

fn opening(said: &Said) -> Vec<Piece> {
    let mut message = said.to_json();
    if let Some(message) = message.as_object_mut() {
        message.insert("content".to_owned(), json!([]));
        message.insert("stop_reason".to_owned(), Value::Null);
        message.insert(
            "usage".to_owned(),
            usage(&Usage { output: said.usage.output.min(1), ..said.usage }),
        );
    }
    let block = json!({"type": "text", "text": ""});
    [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "ping"}),
    ]
    .iter()
    .map(|data| event(Duration::ZERO, data))
    .collect()
}

fn closing(said: &Said) -> Vec<Piece> {
    let delta = json!({"stop_reason": said.stop_reason, "stop_sequence": null});
    [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": delta, "usage": usage(&said.usage)}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(|data| event(Duration::ZERO, data))
    .collect()
}

/// The same bytes in writes of at most `size`; 0 leaves the pieces as they are.
fn torn(events: Vec<Piece>, size: usize) -> Vec<Piece> {
    if size == 0 {
        return events;
    }
    let tear = |mut piece: Piece| {
        std::iter::from_fn(move || {
            let bytes = piece.bytes.split_to(size.min(piece.bytes.len()));
            let (wait, gate) = (std::mem::take(&mut piece.wait), piece.gate.take());
            (!bytes.is_empty()).then_some(Piece { wait, bytes, gate })
        })
    };
    events.into_iter().flat_map(tear).collect()
}

/// A body that writes each piece after its delay. It ends early when the simulator stops.
pub(super) fn body(pieces: Vec<Piece>, end: End, stop: CancellationToken) -> Body {
    let state = Some((pieces.into_iter(), stop));
    Body::from_stream(stream::unfold(state, move |state| async move {
        let (mut pieces, stop) = state?;
        let Some(piece) = pieces.next() else {
            if end == End::Silence {
                stop.cancelled().await;
            }
            // A connection that breaks loses what is not written yet: yielding lets the last piece
            // go out first.
            tokio::task::yield_now().await;
            return (end != End::Proper)
                .then(|| (Err(io::Error::from(io::ErrorKind::ConnectionReset)), None));
        };
        // Yielding lets each piece go out as a write of its own.
        let pause = async {
            tokio::task::yield_now().await;
            if let Some(gate) = &piece.gate {
                gate.pass().await;
            }
            if !piece.wait.is_zero() {
                tokio::time::sleep(piece.wait).await;
            }
        };
        if stop.run_until_cancelled(pause).await.is_none() {
            return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None));
        }
        Some((Ok(piece.bytes), Some((pieces, stop))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        let usage = Usage { input: 5, output: 9, ..Usage::default() };
        Said {
            id: "msg_1".to_owned(),
            model: "m".to_owned(),
            text: "añb✓c".to_owned(),
            stop_reason: "end_turn".to_owned(),
            usage,
        }
    }

    fn usual() -> SimulatorConfig {
        SimulatorConfig::new(std::sync::Arc::new(|| claviger_domain::timestamp::Timestamp(0)))
    }

    fn names(pieces: &[Piece]) -> Vec<String> {
        let text =
            String::from_utf8(pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect())
                .unwrap();
        text.lines().filter_map(|line| line.strip_prefix("event: ").map(str::to_owned)).collect()
    }

    #[test]
    fn events_come_in_the_apis_order() {
        let reply = Reply { chunk_chars: 2, ..Reply::default() };
        let (whole, end) = pieces(&said(), &reply, &usual());
        let delta = "content_block_delta";
        let start = ["message_start", "content_block_start", "ping"];
        let stop = ["content_block_stop", "message_delta", "message_stop"];
        assert_eq!(names(&whole), [&start[..], &[delta; 3], &stop].concat());
        assert_eq!(end, End::Proper);
        let (cut, end) =
            pieces(&said(), &Reply { ending: Ending::CutAfter(2), ..reply.clone() }, &usual());
        assert_eq!(names(&cut), [&start[..], &[delta; 2]].concat());
        assert_eq!(end, End::Cut);
        let (error, end) =
            pieces(&said(), &Reply { ending: Ending::ErrorAfter(1), ..reply }, &usual());
        assert_eq!(names(&error), [&start[..], &[delta, "error"]].concat());
        assert_eq!(end, End::Proper);
    }

    #[test]
    fn a_cut_and_noise_come_at_their_byte() {
        let bytes = |reply: &Reply| {
            pieces(&said(), reply, &usual())
                .0
                .iter()
                .flat_map(|p| p.bytes.to_vec())
                .collect::<Vec<_>>()
        };
        let whole = bytes(&Reply::default());
        for at in 0..=whole.len() {
            assert_eq!(
                bytes(&Reply { ending: Ending::CutAtByte(at), ..Reply::default() }),
                whole[..at]
            );
            let noisy = bytes(&Reply { noise: Some((at, vec![0xff, 0])), ..Reply::default() });
            assert_eq!(noisy, [&whole[..at], &[0xff, 0], &whole[at..]].concat());
        }
    }

    #[test]
    fn torn_pieces_are_the_same_bytes() {
        let bytes = |split_bytes| {
            let (pieces, _) = pieces(
                &said(),
                &Reply { split_bytes, ..Reply::default() },
                &SimulatorConfig { chunk_delay: Duration::from_secs(1), ..usual() },
            );
            let wait: Duration = pieces.iter().map(|piece| piece.wait).sum();
            (pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect::<Vec<_>>(), wait)
        };
        assert_eq!(bytes(0), bytes(3));
    }
}
