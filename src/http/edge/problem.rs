//! An error response before a face renders it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use claviger_domain::code::ErrorCode;
use std::borrow::Cow;

/// An error response in the words that all faces share. Each face has a format of its own for it.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: ErrorCode,
    /// The code's own status, unless the transport has a more exact one (405, 406, 408, 413, 415).
    pub status: StatusCode,
    /// For the client; never text of the request, never the cause of a server fault.
    pub message: Cow<'static, str>,
    /// The names of the input field at fault, outermost first; empty if no one field is at fault.
    pub fields: Vec<Cow<'static, str>>,
    /// Headers the status requires, such as `allow`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with the status of its code.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: status_of(code),
            message: message.into(),
            fields: Vec::new(),
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    #[must_use]
    pub fn with_fields<T: Into<Cow<'static, str>>>(
        self,
        fields: impl IntoIterator<Item = T>,
    ) -> Self {
        Self { fields: fields.into_iter().map(Into::into).collect(), ..self }
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The path does not support the method.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(ErrorCode::BadRequest, format!("this path supports {allow} only"))
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(header::ALLOW, HeaderValue::from_static(allow))
    }

    pub fn unknown_path() -> Self {
        Self::new(ErrorCode::NotFound, "no such path")
    }

    /// A fault of the server.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "internal error")
    }

    /// The token is missing or invalid.
    pub fn unauthenticated(message: &'static str) -> Self {
        Self::new(ErrorCode::Unauthenticated, message)
            .with_header(header::WWW_AUTHENTICATE, challenge())
    }

    /// The message to send: a 5xx carries only what its code says.
    pub fn shown(&self) -> &str {
        if self.status.is_server_error() { said_by(self.code) } else { &self.message }
    }
}

/// A response without a body, which the envelope renders in the format of the path's face.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = self.headers.iter().cloned().map(|(name, value)| (Some(name), value));
        response.headers_mut().extend(headers);
        response.extensions_mut().insert(self);
        response
    }
}

/// What a 5xx says: its code, or the same sentence each time where the code alone helps nobody.
/// Nothing of what happened.
pub const fn said_by(code: ErrorCode) -> &'static str {
    if matches!(code, ErrorCode::Upstream) {
        return "the identity provider does not answer: try again in a moment";
    }
    code.as_str()
}

/// The HTTP status of a code.
pub fn status_of(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The `www-authenticate` header that a 401 must have.
pub fn challenge() -> HeaderValue {
    HeaderValue::from_static("Bearer realm=\"claviger\"")
}
