//! A connection that counts what passes: the bytes written, to tell a slow reader from one that has
//! stopped, and the bytes of each message as its frames announce them, so that their memory is held
//! before the WebSocket library keeps any of them.
//!
//! It never reads beyond a frame, so between two messages nothing is left in the library's buffers.
//! These keep the size of the largest message for ever, and can only be replaced as a whole.

use super::frame::Head;
use crate::limits::Held;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why no more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    NoRoom,
}

#[derive(Debug)]
pub(super) struct Metered<S> {
    /// `None` once it was moved to another place.
    stream: Option<S>,
    written: u64,
    meter: Meter,
}

/// What is known of the incoming bytes.
#[derive(Debug)]
pub(super) struct Meter {
    head: Head,
    /// Payload of the current frame that has not arrived.
    left: u64,
    /// The message has more frames.
    is_continued: bool,
    /// Bytes of the current message, announced ones included.
    message: usize,
    /// Most bytes of a message.
    most: usize,
    held: Held,
    refusal: Option<Refusal>,
}

impl Meter {
    /// A meter for messages of at most `most` bytes.
    pub(super) const fn new(most: usize, held: Held) -> Self {
        Self {
            head: Head::new(),
            left: 0,
            is_continued: false,
            message: 0,
            most,
            held,
            refusal: None,
        }
    }

    /// From now on, somebody else holds larger messages.
    pub(super) fn belongs_to(&mut self, most: usize, mut held: Held) {
        // What has arrived was small enough for anybody.
        let _ = held.resize(self.held.bytes());
        (self.most, self.held) = (most, held);
    }

    /// Bytes that the library's buffers may have grown to.
    pub(super) const fn held(&self) -> usize {
        self.held.bytes()
    }

    /// Holds more for the values in a message of which nothing is missing. `false` if there is no
    /// room.
    pub(super) fn parsing(&mut self, values: usize) -> bool {
        self.held.at_least(self.message.saturating_add(values)).is_ok()
    }

    /// Whether the last message has ended, and no byte of the next one was read.
    pub(super) const fn is_between_messages(&self) -> bool {
        self.left == 0 && self.head.is_empty() && !self.is_continued && self.refusal.is_none()
    }

    /// Nothing more is read: what has arrived of a message is not wanted.
    pub(super) fn shut(&mut self) {
        self.refusal.get_or_insert(Refusal::NoRoom);
    }

    /// The library's buffers were replaced.
    pub(super) fn is_empty_again(&mut self) {
        // To hold fewer bytes never fails.
        let _ = self.held.resize(0);
    }

    /// Most bytes that may be read now.
    fn wanted(&self) -> usize {
        if self.left > 0 {
            usize::try_from(self.left).unwrap_or(usize::MAX)
        } else {
            self.head.missing()
        }
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.left > 0 {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            return Ok(());
        }
        let Some(frame) = self.head.push(bytes) else { return Ok(()) };
        self.left = frame.length;
        // Control frames have at most 125 bytes and may come between those of a message.
        if frame.is_control {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_continued, !frame.is_last) {
            self.message = 0;
        }
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        self.message = self.message.saturating_add(length);
        if self.message > self.most {
            return Err(Refusal::TooLarge);
        }
        // What follows a frame that isn't the last may have any size.
        self.held.expects(if frame.is_last { self.message } else { self.most });
        self.held.at_least(self.message).map_err(|_| Refusal::NoRoom)
    }
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, meter: Meter) -> Self {
        Self { stream: Some(stream), written: 0, meter }
    }

    /// Bytes that the operating system has accepted.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    pub(super) const fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    pub(super) const fn refusal(&self) -> Option<Refusal> {
        self.meter.refusal
    }

    /// The connection itself; `None` once it was moved.
    pub(super) const fn stream(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }

    /// Moves the connection and what is known of it.
    pub(super) fn moved(&mut self, held: Held) -> Self {
        let meter = std::mem::replace(&mut self.meter, Meter::new(0, held));
        Self { stream: self.stream.take(), written: self.written, meter }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, meter, .. } = &mut *self;
        let Some(stream) = stream.as_mut().filter(|_| meter.refusal.is_none()) else {
            return Poll::Ready(Err(gone()));
        };
        let most = meter.wanted().min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        if let Err(refusal) = meter.passed(part.filled()) {
            meter.refusal = Some(refusal);
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(gone())) };
        let polled = Pin::new(stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.written = self.written.saturating_add(*bytes as u64);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(gone())) };
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(gone())) };
        Pin::new(stream).poll_shutdown(cx)
    }
}
