//! An upstream at almost no cost: it answers every message with the number of text pieces the
//! request specifies, each with the time it was written. Runs in a process of its own.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

/// The longest request that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The marker in a prompt before the number of pieces and the milliseconds between them: `@stream
/// 100 50`.
pub(super) const MARK: &str = "@stream ";

/// The marker before the time in a piece.
pub(super) const STAMP: char = '\u{b7}';

/// Microseconds on a clock shared by all processes of this machine.
pub(super) fn micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) =
        (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000 + nanos / 1_000
}

/// Responds until the listener fails.
///
/// # Errors
/// When nothing can be accepted any more.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let tracker = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        tracker.spawn(async move {
            if let Err(error) = talk(stream).await {
                tracing::debug!(%error, "a client of the upstream disconnected");
            }
        });
    }
}

async fn talk(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut body = Vec::new();
    while request(&mut stream, &mut body).await? {
        let (pieces, pace) = asked(&body);
        answer(stream.get_mut(), pieces, pace).await?;
    }
    Ok(())
}

/// Reads a request; `false` at the end of the connection.
async fn request(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<bool> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    if length > MAX_BODY {
        return Ok(false);
    }
    body.resize(length, 0);
    stream.read_exact(body).await?;
    Ok(true)
}

/// How many pieces, and the pause between them.
fn asked(body: &[u8]) -> (u32, Duration) {
    let text = String::from_utf8_lossy(body);
    let mut numbers =
        text.split_once(MARK).map_or("", |(_, rest)| rest).split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let pieces: Option<u64> = next();
    let pace = next().unwrap_or(0);
    (u32::try_from(pieces.unwrap_or(1)).unwrap_or(1), Duration::from_millis(pace))
}

async fn answer(stream: &mut TcpStream, pieces: u32, pace: Duration) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let begin = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\
        \"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&chunk(begin)).await?;
    let first = Instant::now();
    for piece in 0..pieces {
        if !pace.is_zero() {
            sleep_until(first + pace * piece).await;
        }
        let delta = format!(
            "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{STAMP}{} \"}}}}\n\n",
            micros()
        );
        stream.write_all(&chunk(&delta)).await?;
    }
    let end = "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":20}}\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    stream.write_all(&chunk(end)).await?;
    stream.write_all(b"0\r\n\r\n").await
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_says_how_much_is_streamed() {
        assert_eq!(asked(b"{\"text\":\"@stream 100 50\"}"), (100, Duration::from_millis(50)));
        assert_eq!(asked(b"@stream 3"), (3, Duration::ZERO));
        assert_eq!(asked(b"nothing"), (1, Duration::ZERO));
    }
}
