//! Decodes requests. Errors at this stage are not GraphQL errors: they get status 400, which does
//! not depend on `Accept`.

use crate::http::edge::problem::Problem;
use async_graphql::{Request, Variables};
use axum::extract::Query;
use axum::http::Uri;
use claviger_domain::code::ErrorCode;
use claviger_domain::text::without_mark;
use serde_json::{Map, Value};

/// One request, or a batch in one array.
pub(super) enum Payload {
    One(Box<Request>),
    /// A malformed request in a batch fails alone.
    Batch(Vec<Result<Request, Problem>>),
}

pub(super) fn from_body(body: &[u8], max_batch: usize) -> Result<Payload, Problem> {
    if body.is_empty() {
        return Err(malformed("the request has no body"));
    }
    let json = json_of(body)?;
    let Value::Array(items) = json else {
        return from_json(json).map(|request| Payload::One(Box::new(request)));
    };
    if items.is_empty() {
        return Err(malformed("the batch is empty"));
    }
    if items.len() > max_batch {
        let message =
            format!("the batch has {} requests, and the limit is {max_batch}", items.len());
        return Err(Problem::new(ErrorCode::LimitExceeded, message));
    }
    Ok(Payload::Batch(items.into_iter().map(from_json).collect()))
}

/// The JSON of a body. A mark of its encoding before it is passed over (RFC 8259, section 8.1).
pub(in crate::http::graphql) fn json_of(body: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
    // The JSON library's message may quote the body; its position can't.
    serde_json::from_str(without_mark(text)).map_err(|error| {
        malformed(format!(
            "the body is not JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// Reads the query string of a GET. An empty parameter counts as absent.
pub(in crate::http::graphql) fn from_uri(uri: &Uri) -> Result<Request, Problem> {
    if !is_utf8(uri.query().unwrap_or_default()) {
        return Err(malformed("the query string is not UTF-8"));
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| malformed("the query string is malformed"))?;
    let mut fields = Map::new();
    for (name, text) in pairs.into_iter().filter(|(_, text)| !text.is_empty()) {
        let value = match name.as_str() {
            "query" | "operationName" => Value::String(text),
            "variables" | "extensions" => serde_json::from_str(without_mark(&text))
                .map_err(|_| malformed(format!("the parameter \"{name}\" is not JSON")))?,
            // Other faces have their own parameters here, such as a stream's ticket.
            _ => continue,
        };
        if fields.contains_key(&name) {
            return Err(malformed(format!("the parameter \"{name}\" is given twice")));
        }
        fields.insert(name, value);
    }
    from_json(Value::Object(fields))
}

pub(in crate::http::graphql) fn from_json(json: Value) -> Result<Request, Problem> {
    let Value::Object(mut fields) = json else {
        return Err(malformed("a request must be a JSON object"));
    };
    let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    let operation_name = match take("operationName") {
        None => None,
        Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(_) => return Err(malformed("\"operationName\" must be a string")),
    };
    let variables = object(take("variables"), "variables")?;
    let extensions = object(take("extensions"), "extensions")?;
    let query = match take("query") {
        Some(Value::String(query)) => query,
        None if extensions.contains_key("persistedQuery") => String::new(),
        None => return Err(malformed("\"query\" is missing")),
        Some(_) => return Err(malformed("\"query\" must be a string")),
    };
    let mut request = Request::new(query).variables(Variables::from_json(Value::Object(variables)));
    request.operation_name = operation_name;
    request.extensions = serde_json::from_value(Value::Object(extensions))
        .map_err(|_| malformed("\"extensions\" is invalid"))?;
    Ok(request)
}

fn object(value: Option<Value>, name: &'static str) -> Result<Map<String, Value>, Problem> {
    match value {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(malformed(format!("\"{name}\" must be an object"))),
    }
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(ErrorCode::BadRequest, message)
}

/// Whether the percent-encoded bytes are UTF-8. The form decoder would silently insert replacement
/// characters.
fn is_utf8(encoded: &str) -> bool {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        let digits = (byte == b'%').then(|| {
            let mut ahead = bytes.clone();
            let high = ahead.next().and_then(|digit| char::from(digit).to_digit(16))?;
            let low = ahead.next().and_then(|digit| char::from(digit).to_digit(16))?;
            bytes = ahead;
            u8::try_from(high * 16 + low).ok()
        });
        decoded.push(digits.flatten().unwrap_or(byte));
    }
    String::from_utf8(decoded).is_ok()
}
