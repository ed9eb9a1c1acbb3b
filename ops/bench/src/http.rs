//! A minimal HTTP/1.1 client at almost no cost: requests are prepared bytes, and responses are read
//! but not parsed.

use crate::error::BenchError;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// The longest response that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A POST of JSON to `/graphql`.
pub(super) fn post(token: Option<&str>, body: &str) -> Vec<u8> {
    post_to("/graphql", token, body)
}

/// The same to another path.
pub(super) fn post_to(path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let authorization =
        token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}accept: application/json\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A persistent connection.
pub(super) struct Talk {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
    /// The body of the last response.
    pub(super) body: Vec<u8>,
}

impl Talk {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(16 * 1024, stream),
            line: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Sends a request and reads the complete response.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<u16, BenchError> {
        self.stream.get_mut().write_all(request).await?;
        let status = self
            .next_line()
            .await?
            .get(9..12)
            .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let status = status.ok_or(BenchError::Subject("it does not respond in HTTP/1.1"))?;
        let mut length = 0;
        loop {
            let line = self.next_line().await?;
            let Some((name, value)) =
                std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
            else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(usize::MAX);
            }
        }
        if length > MAX_BODY {
            return Err(BenchError::Subject("its response has no length, or is too long"));
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(status)
    }

    /// A line without its end; empty after the last header.
    async fn next_line(&mut self) -> Result<&[u8], BenchError> {
        self.line.clear();
        if self.stream.read_until(b'\n', &mut self.line).await? == 0 {
            return Err(BenchError::Subject("it closed the connection"));
        }
        Ok(self.line.trim_ascii_end())
    }
}
