//! Media types of requests and responses.

use crate::http::edge::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use claviger_domain::code::ErrorCode;

/// The media type of the response, which also decides its status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`: a request that failed before execution gets its error
    /// code's status.
    GraphqlResponse,
    /// `application/json`: 200 for every well-formed request, because older clients read the body
    /// only then.
    Json,
}

impl Media {
    pub const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// Picks the best type the client accepts: `application/json` without a preference, as the
    /// specification requires.
    ///
    /// # Errors
    /// 406 for a client that accepts neither.
    pub fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut wishes = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .peekable();
        if wishes.peek().is_none() {
            return Ok(Self::Json);
        }
        let mut best: Option<(Weight, Self)> = None;
        for (weight, media) in wishes.flat_map(|value| value.split(',')).filter_map(wish) {
            if best.is_none_or(|(so_far, _)| weight > so_far) {
                best = Some((weight, media));
            }
        }
        let unacceptable = || {
            Problem::new(
                ErrorCode::BadRequest,
                "accept application/graphql-response+json or application/json",
            )
            .with_status(StatusCode::NOT_ACCEPTABLE)
        };
        best.map(|(_, media)| media).ok_or_else(unacceptable)
    }
}

/// Whether the client wants an event stream. A client that also names JSON gets a plain response.
pub(in crate::http::graphql) fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let names = values
        .flat_map(|value| value.split(','))
        .filter_map(|wish| wish.split(';').next())
        .map(str::trim);
    let mut wants = false;
    for name in names {
        if name.eq_ignore_ascii_case("application/json")
            || name.eq_ignore_ascii_case("application/graphql-response+json")
        {
            return false;
        }
        wants |= name.eq_ignore_ascii_case("text/event-stream");
    }
    wants
}

/// Whether the client reads the parts of Apollo's protocol for subscriptions. It names JSON too, for
/// what can't begin.
pub(in crate::http::graphql) fn wants_parts(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|wish| {
        let mut parts = wish.split(';').map(str::trim);
        let is_multipart =
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("multipart/mixed"));
        let spec = |parameter: &str| {
            parameter.split_once('=').is_some_and(|(name, version)| {
                name.trim().eq_ignore_ascii_case("subscriptionSpec")
                    && matches!(version.trim().trim_matches(['"', '\'']), "1" | "1.0")
            })
        };
        is_multipart && parts.any(spec)
    })
}

/// The quality in thousandths, then how exactly the type was named.
type Weight = (u16, u8);

fn wish(text: &str) -> Option<(Weight, Media)> {
    let mut parts = text.split(';').map(str::trim);
    let (exactness, media) = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/graphql-response+json" => (2, Media::GraphqlResponse),
        "application/json" => (2, Media::Json),
        "application/*" => (1, Media::Json),
        "*/*" => (0, Media::Json),
        _ => return None,
    };
    let quality = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("q"))
        .map_or(Some(1000), |(_, value)| thousandths(value))?;
    (quality > 0).then_some(((quality, exactness), media))
}

/// `0.5` as 500: whole numbers have a total order.
fn thousandths(quality: &str) -> Option<u16> {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let fraction = format!("{fraction:0<3}");
    let value =
        whole.parse::<u16>().ok()?.checked_mul(1000)?.checked_add(fraction.parse().ok()?)?;
    (fraction.len() == 3 && value <= 1000).then_some(value)
}

/// Refuses a body that isn't declared as JSON. A browser can't send that content type across
/// origins without a preflight, so this check also blocks cross-site forms.
///
/// # Errors
/// 415.
pub(in crate::http::graphql) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |message: &'static str| {
        Err(Problem::new(ErrorCode::BadRequest, message)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
    };
    let text =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    if !parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json")) {
        return unsupported("send the request as content-type application/json");
    }
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    if charset.is_some_and(|(_, value)| !value.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        return unsupported("send the request in charset utf-8");
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return unsupported("send the request without a content-encoding");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Media, require_json, wants_parts};
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn the_best_accepted_type_is_chosen() {
        let cases = [
            (vec![], Some(Media::Json)),
            (vec!["*/*"], Some(Media::Json)),
            (vec!["application/*"], Some(Media::Json)),
            (vec!["application/json"], Some(Media::Json)),
            (vec!["application/graphql-response+json"], Some(Media::GraphqlResponse)),
            (
                vec!["application/graphql-response+json; charset=utf-8"],
                Some(Media::GraphqlResponse),
            ),
            (
                vec!["Application/GraphQL-Response+JSON, application/json"],
                Some(Media::GraphqlResponse),
            ),
            (vec!["application/json, application/graphql-response+json"], Some(Media::Json)),
            (
                vec!["application/json;q=0.9, application/graphql-response+json"],
                Some(Media::GraphqlResponse),
            ),
            (vec!["*/*, application/graphql-response+json"], Some(Media::GraphqlResponse)),
            (
                vec!["application/json;q=0.5", "application/graphql-response+json;q=0.75"],
                Some(Media::GraphqlResponse),
            ),
            (
                vec!["application/graphql-response+json;q=0, application/json;q=0.001"],
                Some(Media::Json),
            ),
            (
                vec!["multipart/mixed;subscriptionSpec=1.0, application/graphql-response+json"],
                Some(Media::GraphqlResponse),
            ),
            (vec!["text/html"], None),
            (vec!["application/json;q=0"], None),
            (vec!["application/json;q=nonsense"], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(Media::accepted(&headers).ok(), expected, "{values:?}");
        }
    }

    #[test]
    fn parts_are_for_those_who_name_their_protocol() {
        for (value, expected) in [
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json",
                true,
            ),
            ("multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\"", true),
            ("Multipart/Mixed;subscriptionspec=1.0", true),
            ("application/json, multipart/mixed;subscriptionSpec=1.0", true),
            ("multipart/mixed;boundary=\"graphql\";subscriptionSpec=2.0", false),
            ("multipart/mixed;deferSpec=20220824, application/json", false),
            ("multipart/mixed", false),
            ("application/json;subscriptionSpec=1.0", false),
            ("", false),
        ] {
            let headers = [(header::ACCEPT, HeaderValue::from_static(value))];
            assert_eq!(wants_parts(&headers.into_iter().collect()), expected, "{value}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_accepted() {
        let cases = [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=UTF-8"), true),
            (Some("application/json;charset=\"utf-8\""), true),
            (Some("application/json; charset=latin1"), false),
            (Some("application/graphql"), false),
            (Some("application/jsonp"), false),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (None, false),
        ];
        for (value, expected) in cases {
            let headers = value
                .into_iter()
                .map(|value| (header::CONTENT_TYPE, HeaderValue::from_static(value)))
                .collect();
            assert_eq!(require_json(&headers).is_ok(), expected, "{value:?}");
        }
    }
}
