//! A deadline for a connection's first bytes.
//!
//! Hyper waits for up to 24 bytes to tell HTTP/1 from HTTP/2, and none of its own timeouts runs
//! yet. Without this deadline, a client that connects and sends nothing, or only `PRI`, would hold
//! its connection slot for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The length of HTTP/2's preface. No HTTP/1.1 request is shorter.
const PREFACE_BYTES: usize = 24;

/// A socket whose reads fail when its first bytes don't arrive in time.
pub(super) struct FirstBytes {
    stream: TcpStream,
    /// `None` once the bytes have arrived or the server has responded: from then on hyper's own
    /// timeouts run.
    deadline: Option<Pin<Box<Sleep>>>,
    read: usize,
}

impl FirstBytes {
    pub(super) fn new(stream: TcpStream, within: Duration) -> Self {
        Self { stream, deadline: Some(Box::pin(sleep(within))), read: 0 }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(deadline) = self.deadline.as_mut() else { return polled };
        match polled {
            Poll::Pending if deadline.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.read = self.read.saturating_add(buf.filled().len().saturating_sub(before));
                if self.read >= PREFACE_BYTES {
                    self.deadline = None;
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.deadline = None;
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
        self.deadline = None;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
