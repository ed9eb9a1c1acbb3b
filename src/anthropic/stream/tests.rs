//! The stream's state machines, fed with whole, split, cut and damaged input.

use super::super::error::Malformed;
use super::{CallItem, Message, Progress};
use crate::sse::decode::EventLines;
use claviger_domain::orchestration::{StopReason, Usage};
use proptest::prelude::*;

/// A recorded stream with thinking, two text blocks, an unknown event, a comment, and characters of
/// more than one byte.
const RECORDED: &str = concat!(
    ": hello\r\n\r\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[],\"usage\":{\"input_tokens\":25,",
    "\"cache_creation_input_tokens\":7,\"cache_creation\":{\"ephemeral_5m_input_tokens\":4,\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1}}}\n\n",
    "data: {\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"},\"type\":\"content_block_start\"}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm✓\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"x\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\r\n\r\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\n",
    "data: \"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße, \"}}\n\n",
    "data:{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\r\r",
    "data: {\"type\":\"brand_new\",\"text\":7}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"Wo\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"rld 🦀\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15,\"input_tokens\":30}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

fn fed<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<CallItem>, Message), Malformed> {
    fed_to(Message::default(), pieces)
}

fn fed_to<'a>(
    mut message: Message,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<CallItem>, Message), Malformed> {
    let (mut lines, mut items) = (EventLines::new(4096, 1 << 20), Vec::new());
    let mut take = |name: Option<&[u8]>, data: &[u8]| {
        if let Progress::Items(some) = message.take(name, data)? {
            items.extend(some);
        }
        Ok(())
    };
    for piece in pieces {
        lines.push_named::<Malformed>(piece, &mut take)?;
    }
    Ok((items, message))
}

fn expected() -> Vec<CallItem> {
    let first = Usage { input: 25, output: 1, cache_write_5m: 4, cache_write_1h: 3, cache_read: 0 };
    vec![
        CallItem::Started { message_id: "msg_1".to_owned(), usage: first },
        CallItem::Text("Grüße, ".to_owned()),
        CallItem::Text("Wo".to_owned()),
        CallItem::Text("rld 🦀".to_owned()),
        CallItem::Usage(Usage { input: 30, output: 15, ..first }),
    ]
}

#[test]
fn a_recorded_stream_reads_the_same_wherever_it_is_split() {
    let bytes = RECORDED.as_bytes();
    for at in 0..=bytes.len() {
        let (items, message) = fed([&bytes[..at], &bytes[at..]]).unwrap();
        assert_eq!(items, expected(), "split at {at}");
        assert_eq!(
            (message.is_whole(), message.stop_reason(), message.thinking_bytes),
            (true, StopReason::EndTurn, 5)
        );
    }
    assert_eq!(fed(bytes.chunks(1)).unwrap().0, expected());
}

#[test]
fn a_stream_cut_anywhere_is_never_whole_and_yields_a_prefix() {
    let bytes = RECORDED.as_bytes();
    for at in 0..bytes.len() - 1 {
        let (items, message) = fed([&bytes[..at]]).unwrap();
        assert!(!message.is_whole() && expected().starts_with(&items), "cut at {at}");
    }
}

#[test]
fn an_invalid_or_out_of_order_event_is_refused() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n";
    for (before, data) in [
        ("", r#"{"type":"message_stop"}"#),
        (
            "",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        (start, "{\"type\":"),
        (start, "hello"),
        (start, r#"{"type":"content_block_delta","index":0}"#),
        (
            start,
            r#"{"type":"content_block_delta","index":-1,"delta":{"type":"text_delta","text":"x"}}"#,
        ),
        (start, r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}"#),
        (
            start,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}"#,
        ),
        (start, r#"{"type":"message_start","message":{}}"#),
        (start, r#"{"type":"message_start","message":{"id":"n"}}"#),
    ] {
        let stream = format!("{before}data: {data}\n\n");
        assert_eq!(fed([stream.as_bytes()]).err(), Some(Malformed::Unreadable), "{data}");
    }
    let torn = [start.as_bytes(), b"data: {\"type\":\"brand_new\",\"x\":\"\xf0\x9f\"}\n\n"];
    assert_eq!(fed(torn).err(), Some(Malformed::Unreadable));
}

#[test]
fn lines_events_and_streams_have_a_size_limit() {
    let long = vec![b'x'; 5000];
    assert_eq!(fed([&b"data: "[..], &long]).err(), Some(Malformed::TooBig));
    assert_eq!(fed([&long[..4096], b"x"]).err(), Some(Malformed::TooBig));
    let line = [b"data: ".as_slice(), &long[..1000], b"\n"].concat();
    assert_eq!(fed(std::iter::repeat_n(line.as_slice(), 5)).err(), Some(Malformed::TooBig));
    assert_eq!(fed(std::iter::repeat(&b": ping\n\n"[..])).err(), Some(Malformed::TooBig));
}

#[test]
fn a_second_start_makes_the_first_void_where_that_is_allowed() {
    let start = |id: &str, output: u64| {
        format!(
            "data: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{id}\",\"usage\":{{\"output_tokens\":{output}}}}}}}\n\n"
        )
    };
    let twice = start("a", 3) + &start("b", 4);
    assert_eq!(fed([twice.as_bytes()]).err(), Some(Malformed::Unreadable));
    let (items, _) = fed_to(Message::restartable(), [twice.as_bytes()]).unwrap();
    let usage = |output| Usage { output, ..Usage::default() };
    assert_eq!(
        items[1],
        CallItem::Restarted { message_id: "b".to_owned(), usage: usage(4), void: usage(3) }
    );
}

proptest! {
    #[test]
    fn any_split_reads_the_same(sizes in prop::collection::vec(1_usize..60, 1..400)) {
        let mut rest = RECORDED.as_bytes();
        let mut pieces = Vec::new();
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(fed(pieces).unwrap().0, expected());
    }

    #[test]
    fn arbitrary_bytes_never_panic(noise in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..1500) {
        let bytes = RECORDED.as_bytes();
        let (before, after) = bytes.split_at(at.min(bytes.len()));
        drop(fed([before, &noise, after]));
    }
}
