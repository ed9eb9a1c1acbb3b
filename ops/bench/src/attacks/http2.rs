//! Frames of HTTP/2 (RFC 9113, section 4.1) that no library would send.

/// The frame type DATA.
pub const DATA: u8 = 0;
/// Starts a request.
pub const HEADERS: u8 = 1;
/// Ends a stream early.
pub const RST_STREAM: u8 = 3;
/// Connection settings, to be acknowledged.
pub const SETTINGS: u8 = 4;
/// Requires a response.
pub const PING: u8 = 6;
/// Continues headers.
pub const CONTINUATION: u8 = 9;
/// The flag for complete headers.
pub const END_HEADERS: u8 = 4;

/// `:method POST`, `:scheme http`, `:path /`, `:authority localhost`, by HPACK (RFC 7541,
/// appendix A).
pub const POST: [u8; 14] = *b"\x83\x86\x84\x41\x09localhost";

/// The same to `/graphql` with JSON: a request that waits for its body.
pub const BEGUN_POST: &[u8] =
    b"\x83\x86\x41\x09localhost\x04\x08/graphql\x0f\x10\x10application/json";

/// Encodes one frame. Payloads are far below the largest length.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let mut bytes: Vec<u8> = length.into_iter().skip(1).collect();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The preface and empty settings.
pub fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// The first `count` stream ids of a client, which are odd.
pub fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// Streams opened and reset at once (CVE-2023-44487).
pub fn resets(count: u32) -> impl Iterator<Item = Vec<u8>> {
    streams(count).map(|stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &POST);
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    })
}
