//! Deadlines for what a client sends: its first bytes, the head of each request, and the silence
//! between two requests.
//!
//! Hyper waits for up to 24 bytes to tell HTTP/1 from HTTP/2, and none of its own timeouts runs yet.
//! After that it has one timeout for silence and head together. But a load balancer keeps idle
//! connections for a minute and more, and must not find them closed; a head that has begun takes no
//! longer than a few seconds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};

/// The beginning of an HTTP/2 connection. No HTTP/1.1 request is shorter.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection is kept for this much longer than announced, for a request that is on its way.
const MARGIN: Duration = Duration::from_secs(1);

/// What a connection's requests tell its bytes.
#[derive(Debug, Default)]
pub(super) struct Doing {
    begun: AtomicU64,
    at_work: AtomicUsize,
    is_upgraded: AtomicBool,
}

impl Doing {
    /// A request has begun; its response has been sent, or given up, when this is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> AtWork {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.at_work.fetch_add(1, Ordering::AcqRel);
        AtWork(Arc::clone(self))
    }

    /// What follows isn't HTTP, and whoever takes it over has deadlines of its own.
    pub(super) fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Release);
    }
}

/// A request that is answered.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Doing>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a client may take.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// For its first bytes, and for each head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// The places for connections: while none is free, nobody keeps one in silence for longer than a
    /// head may take.
    pub(super) places: Arc<Semaphore>,
}

enum Wait {
    /// For nothing: a request is answered.
    Not,
    /// For the end of a head, or for the first bytes, after so many requests.
    Head(u64),
    /// For the next request, since then.
    Idle(Instant),
    /// HTTP/2, or no longer HTTP.
    Never,
}

/// A socket whose reads fail or end when what they wait for doesn't come in time.
pub(super) struct Waits {
    stream: TcpStream,
    patience: Patience,
    doing: Arc<Doing>,
    wait: Wait,
    deadline: Pin<Box<Sleep>>,
    /// Bytes of the preface that have come.
    preface: usize,
}

impl Waits {
    pub(super) fn new(stream: TcpStream, patience: Patience, doing: Arc<Doing>) -> Self {
        let deadline = Box::pin(sleep_until(Instant::now() + patience.head));
        Self { stream, patience, doing, wait: Wait::Head(0), deadline, preface: 0 }
    }

    /// Follows what the requests have done since the last read.
    fn catch_up(&mut self) {
        if matches!(self.wait, Wait::Never) {
            return;
        }
        if self.doing.is_upgraded.load(Ordering::Acquire) {
            self.wait = Wait::Never;
            return;
        }
        if self.doing.at_work.load(Ordering::Acquire) > 0 {
            self.wait = Wait::Not;
            return;
        }
        let begun = self.doing.begun.load(Ordering::Acquire);
        match self.wait {
            Wait::Head(before) if before == begun => {}
            Wait::Idle(_) | Wait::Never => {}
            Wait::Head(_) | Wait::Not => {
                let now = Instant::now();
                let slice = self.patience.head.min(self.patience.idle + MARGIN);
                self.deadline.as_mut().reset(now + slice);
                self.wait = Wait::Idle(now);
            }
        }
    }

    fn came(&mut self, bytes: &[u8]) {
        if let Some(rest) = PREFACE.get(self.preface..).filter(|rest| !rest.is_empty()) {
            let length = bytes.len().min(rest.len());
            if bytes.get(..length) == rest.get(..length) {
                self.preface += length;
            } else {
                // Never the preface.
                self.preface = PREFACE.len() + 1;
            }
            if self.preface == PREFACE.len() {
                self.wait = Wait::Never;
            }
        }
        if let Wait::Idle(_) = self.wait {
            self.deadline.as_mut().reset(Instant::now() + self.patience.head);
            self.wait = Wait::Head(self.doing.begun.load(Ordering::Acquire));
        }
    }

    /// What a read that would wait does.
    fn judge(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.wait, Wait::Not | Wait::Never) {
            return Poll::Pending;
        }
        while self.deadline.as_mut().poll(cx).is_ready() {
            let Wait::Idle(since) = self.wait else {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            };
            let end = since + self.patience.idle + MARGIN;
            if Instant::now() >= end || self.patience.places.available_permits() == 0 {
                // As if the client had closed: in order, without a response.
                return Poll::Ready(Ok(()));
            }
            let next = Instant::now() + self.patience.head;
            self.deadline.as_mut().reset(next.min(end));
        }
        Poll::Pending
    }
}

impl AsyncRead for Waits {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.catch_up();
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.judge(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                self.came(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Waits {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
