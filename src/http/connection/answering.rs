//! Follows a response to its end, and announces how long its connection is kept.

use super::waits::{AtWork, Doing};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The requests of one connection.
pub(super) struct Answering {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) doing: Arc<Doing>,
    /// The `keep-alive` header; `None` if connections are kept for less than a second.
    pub(super) announced: Option<HeaderValue>,
}

/// How long connections are kept, for clients that look: they then don't send a request in the moment
/// in which the server closes.
pub(super) fn announcement(kept: Duration) -> Option<HeaderValue> {
    let seconds = kept.as_secs();
    (seconds > 0).then(|| HeaderValue::from_str(&format!("timeout={seconds}")).ok()).flatten()
}

impl Answering {
    pub(super) async fn answer(
        &self,
        mut request: hyper::Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let at_work = self.doing.begin();
        let is_http_1 = request.version() == Version::HTTP_11;
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let mut response = self.router.clone().call(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.doing.upgrade();
            return Ok(response);
        }
        if let Some(announced) = &self.announced
            && is_http_1
            && !response.headers().contains_key(header::CONNECTION)
        {
            response.headers_mut().insert(KEEP_ALIVE, announced.clone());
        }
        Ok(response.map(|body| Body::new(Followed { body, _at_work: at_work })))
    }
}

/// A body, and the work that ends with it.
struct Followed {
    body: Body,
    _at_work: AtWork,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
