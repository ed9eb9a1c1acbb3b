//! The two directions of a socket: the messages received, and the queue of messages to send.

use super::close::Close;
use super::counted::Counted;
use futures::{Sink, Stream};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(super) enum Io {
    Sent,
    Got(Message),
    /// The other end has closed or disconnected.
    Gone,
    Refused(Close),
}

/// A socket with a bounded send queue.
pub(super) struct Wire<S> {
    socket: WebSocketStream<Counted<S>>,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    /// Data was handed to the socket and isn't flushed yet.
    is_dirty: bool,
    most_frames: usize,
    most_bytes: usize,
    /// Since when the client has accepted no data although some waits, and the byte count at that
    /// time.
    stuck: Option<(Instant, u64)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(
        socket: WebSocketStream<Counted<S>>,
        (most_frames, most_bytes): (usize, usize),
    ) -> Self {
        Self {
            socket,
            queue: VecDeque::new(),
            queued_bytes: 0,
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

    pub(super) fn push(&mut self, message: Message) {
        self.queued_bytes = self.queued_bytes.saturating_add(message.len());
        self.queue.push_back(message);
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
            Some(Err(_)) | None => Io::Gone,
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
        let stream = self.socket.get_mut();
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
