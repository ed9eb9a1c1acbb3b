//! The two directions of a socket: the messages received, and the queue of messages to send.

use super::close::Close;
use super::metered::{Metered, Refusal};
use crate::limits::{Held, NoRoom};
use futures::{Sink, Stream};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Small, because thousands of sockets are idle most of the time. It grows with the messages
/// received.
const READ_BUFFER: usize = 128;

/// What the library's buffers may keep between messages. Larger ones are replaced.
const SPARE: usize = 4 * 1024;

pub(super) enum Io {
    Sent,
    Got(Message),
    /// The other end has closed or disconnected.
    Gone,
    Refused(Close),
}

/// A socket with a bounded send queue.
pub(super) struct Wire<S> {
    socket: WebSocketStream<Metered<S>>,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    /// The largest message in the library's send buffer, which keeps its size.
    largest: usize,
    /// Memory for the two above.
    held: Held,
    /// Data was handed to the socket and isn't flushed yet.
    is_dirty: bool,
    most_frames: usize,
    most_bytes: usize,
    /// Since when the client has accepted no data although some waits, and the byte count at that
    /// time.
    stuck: Option<(Instant, u64)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `held` is for what waits for the client.
    pub(super) async fn new(
        stream: Metered<S>,
        held: Held,
        (most_frames, most_bytes): (usize, usize),
    ) -> Self {
        Self {
            socket: over(stream).await,
            queue: VecDeque::new(),
            queued_bytes: 0,
            largest: 0,
            held,
            is_dirty: false,
            most_frames,
            most_bytes,
            stuck: None,
        }
    }

    /// Whether the queue has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.most_frames && self.queued_bytes < self.most_bytes
    }

    /// Queues a message that is too small to count.
    pub(super) fn push(&mut self, message: Message) {
        if let Err((message, _)) = self.try_push(message) {
            self.queue.push_back(message);
        }
    }

    /// Queues a message if there is memory for it.
    pub(super) fn try_push(&mut self, message: Message) -> Result<(), (Message, NoRoom)> {
        let queued_bytes = self.queued_bytes.saturating_add(message.len());
        if let Err(no_room) = self.held.at_least(queued_bytes.saturating_add(self.largest)) {
            return Err((message, no_room));
        }
        self.queued_bytes = queued_bytes;
        self.queue.push_back(message);
        Ok(())
    }

    /// From now on, another holder pays for what arrives and what waits.
    pub(super) fn belongs_to(&mut self, most: usize, arriving: Held, mut waiting: Held) {
        self.socket.get_mut().meter().belongs_to(most, arriving);
        // What waits so far is small enough for anybody.
        let _ = waiting.resize(self.held.bytes());
        self.held = waiting;
    }

    /// Holds more for the values of the message that was received last. `false` if there is no
    /// room.
    pub(super) fn parsing(&mut self, values: usize) -> bool {
        self.socket.get_mut().meter().parsing(values)
    }

    /// Whether [`Self::rest`] has anything to do.
    pub(super) fn is_swollen(&mut self) -> bool {
        let is_idle = !self.has_unsent();
        let meter = self.socket.get_mut().meter();
        is_idle && meter.is_between_messages() && (meter.held() > SPARE || self.largest > SPARE)
    }

    /// Gives back the memory of messages that were dealt with: the library's buffers never shrink,
    /// so they are replaced while they are empty.
    pub(super) async fn rest(&mut self) {
        if self.is_swollen() {
            self.replace().await;
        }
    }

    /// Between messages, buffers that are small enough to stay count as part of the socket.
    pub(super) fn settle(&mut self) {
        let meter = self.socket.get_mut().meter();
        if meter.is_between_messages() && meter.held() <= SPARE {
            meter.is_empty_again();
        }
        if !self.has_unsent() && self.largest <= SPARE {
            // To hold fewer bytes never fails.
            let _ = self.held.resize(0);
            self.largest = 0;
        }
    }

    /// Gives back what was read, also of a message of which the rest is missing: that is not read
    /// any more. Nothing may be unsent.
    pub(super) async fn let_go(&mut self) {
        let meter = self.socket.get_mut().meter();
        if !meter.is_between_messages() {
            meter.shut();
            self.replace().await;
        }
        self.rest().await;
    }

    /// Whether the client sent more than there is room for.
    pub(super) fn is_refused(&self) -> bool {
        self.socket.get_ref().refusal().is_some()
    }

    async fn replace(&mut self) {
        // To hold fewer bytes never fails.
        let _ = self.held.resize(0);
        let nothing = self.held.sibling();
        let mut stream = self.socket.get_mut().moved(nothing);
        stream.meter().is_empty_again();
        self.socket = over(stream).await;
        self.largest = 0;
    }

    /// Drops the messages that are not being sent yet.
    pub(super) fn forget_queue(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.is_dirty || !self.queue.is_empty()
    }

    /// When the client will have accepted no data for `stall`, if nothing changes.
    pub(super) fn stalls_at(&mut self, now: Instant, stall: Duration) -> Option<Instant> {
        let written = self.socket.get_ref().written();
        self.stuck = match self.stuck {
            _ if !self.has_unsent() => None,
            Some((since, then)) if then == written => Some((since, then)),
            Some(_) | None => Some((now, written)),
        };
        self.stuck.map(|(since, _)| since + stall)
    }

    /// Sends, and reads if `may_read`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Io> {
        if let Poll::Ready(sent) = self.poll_all(cx) {
            return Poll::Ready(sent);
        }
        if !may_read {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(message)) => {
                // The library responds to pings and closes with the next flush.
                self.is_dirty |= matches!(message, Message::Ping(_) | Message::Close(_));
                Io::Got(message)
            }
            Some(Err(Error::Capacity(_))) => {
                Io::Refused(Close::BadMessage("the message is too large"))
            }
            Some(Err(Error::Protocol(_) | Error::Utf8(_))) => Io::Refused(Close::Broken),
            Some(Err(_)) => match self.socket.get_ref().refusal() {
                Some(Refusal::TooLarge) => {
                    Io::Refused(Close::BadMessage("the message is too large"))
                }
                Some(Refusal::NoRoom) => Io::Refused(Close::TryLater),
                None => Io::Gone,
            },
            None => Io::Gone,
        })
    }

    /// Sends as much as the operating system accepts now.
    pub(super) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Io> {
        let mut sent = Poll::Pending;
        while self.has_unsent() {
            match self.poll_send(cx) {
                Poll::Ready(Ok(())) => sent = Poll::Ready(Io::Sent),
                Poll::Ready(Err(_)) => return Poll::Ready(Io::Gone),
                Poll::Pending => break,
            }
        }
        sent
    }

    /// Shuts down the sending side, and discards incoming data until the other end closes too. For
    /// a socket whose frames can no longer be parsed.
    pub(super) async fn hang_up(&mut self) -> io::Result<()> {
        let Some(stream) = self.socket.get_mut().stream() else { return Ok(()) };
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        Ok(())
    }

    /// Sends one message, or flushes after the last.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.queue.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            if let Some(message) = self.queue.pop_front() {
                self.queued_bytes = self.queued_bytes.saturating_sub(message.len());
                self.largest = self.largest.max(message.len());
                // No more than before: the message moves from one to the other.
                let _ = self.held.resize(self.queued_bytes.saturating_add(self.largest));
                self.is_dirty = true;
                return Poll::Ready(Pin::new(&mut self.socket).start_send(message));
            }
        }
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.is_dirty = false;
        // Frees the capacity: thousands of sockets are idle most of the time.
        self.queue = VecDeque::new();
        Poll::Ready(Ok(()))
    }
}

/// A socket over a connection that has passed the handshake, with empty buffers.
async fn over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: Metered<S>,
) -> WebSocketStream<Metered<S>> {
    // The connection itself bounds the messages.
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(None)
        .max_frame_size(None);
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}
