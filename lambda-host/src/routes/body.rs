//! The body of a request: JSON or a form, of bounded size and time, wiped after use.

use core::time::Duration;

use axum::body::Body;
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// The maximum size of a body in bytes: many times an address and a password.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// The media type of a JSON body.
const JSON: &str = "application/json";

/// The maximum time for a body to arrive, among the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyTimeout(pub(crate) Duration);

/// Reads the body of `request`; its content type must be JSON.
///
/// # Errors
///
/// The [`Problem`] of a wrong content type, or of a body that is too long, too slow or incomplete.
pub(super) async fn read(request: Request<Body>) -> Result<Zeroizing<Vec<u8>>, Problem> {
    read_as(request, JSON).await
}

/// As [`read`], for a form.
///
/// # Errors
///
/// As [`read`].
pub(super) async fn read_form(request: Request<Body>) -> Result<Zeroizing<Vec<u8>>, Problem> {
    read_as(request, "application/x-www-form-urlencoded").await
}

async fn read_as(
    request: Request<Body>,
    media_type: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if !is_of(request.headers(), media_type) {
        return Err(Problem::UnsupportedMediaType(media_type));
    }
    let (parts, body) = request.into_parts();
    collect_in_time(&parts, body).await
}

/// Checks that the content type is JSON.
///
/// # Errors
///
/// [`Problem::UnsupportedMediaType`].
pub(super) fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    is_of(headers, JSON)
        .then_some(())
        .ok_or(Problem::UnsupportedMediaType(JSON))
}

/// Collects a body of any type.
///
/// # Errors
///
/// The [`Problem`] of a body that is too long, too slow or incomplete.
pub(super) async fn collect_in_time(
    parts: &Parts,
    body: Body,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // The HTTP service sets it before it routes a request.
    let timeout = parts.extensions.get::<BodyTimeout>();
    let BodyTimeout(timeout) = timeout.ok_or(Problem::Internal)?;
    time::timeout(*timeout, collect(body))
        .await
        .unwrap_or(Err(Problem::BodyTimeout))
}

async fn collect(body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut body = Limited::new(body, MAX_BODY_BYTES);
    // SECURITY: the body holds a password. The buffer has its full size at once, because a growing
    // one leaves copies.
    let mut whole = Zeroizing::new(Vec::with_capacity(MAX_BODY_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Problem::BodyTooLarge
            } else {
                Problem::MalformedBody
            }
        })?;
        if let Some(part) = frame.data_ref() {
            whole.extend_from_slice(part);
        }
    }
    Ok(whole)
}

/// Whether the content type is `wanted`, in UTF-8 if it has a charset, without a content encoding.
/// [RFC 8259 §11] defines no parameters, but many clients add some; they are ignored. A parameter may
/// be empty, and blanks may stand around it ([RFC 9110 §5.6.6]).
///
/// [RFC 9110 §5.6.6]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.6
/// [RFC 8259 §11]: https://www.rfc-editor.org/rfc/rfc8259#section-11
fn is_of(headers: &HeaderMap, wanted: &str) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut quoted = false;
    let mut parts = value.split(|mark| {
        quoted ^= mark == '"';
        mark == ';' && !quoted
    });
    let media_type = parts.next().unwrap_or_default().trim();
    let is_utf_8 = parts.all(|parameter| {
        let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
        !name.eq_ignore_ascii_case("charset")
            || ["utf-8", "utf8"]
                .iter()
                .any(|known| value.trim_matches('"').eq_ignore_ascii_case(known))
    });
    media_type.eq_ignore_ascii_case(wanted) && is_utf_8 && is_not_encoded(headers)
}

/// Whether the body is sent as it is: `identity` is the same as no header (RFC 9110 §8.4.1).
fn is_not_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|encoding| {
        let encoding = encoding.as_bytes().trim_ascii();
        encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
    })
}

#[cfg(test)]
mod tests {
    use http::request::Builder;

    use super::*;

    fn request() -> Builder {
        Request::post("/").extension(BodyTimeout(Duration::from_secs(10)))
    }

    async fn code(content_type: &str, body: Body) -> Result<usize, Problem> {
        let request = request().header(CONTENT_TYPE, content_type);
        read(request.body(body).expect("a request"))
            .await
            .map(|whole| whole.len())
    }

    #[tokio::test]
    async fn only_utf_8_json_without_content_encoding_is_read() {
        for accepted in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; charset=utf8",
            "application/json;",
            "application/json ; charset=UTF-8 ;",
            "application/json; version=1",
            "application/json; q=\"a;b\"; charset=utf-8",
        ] {
            assert_eq!(code(accepted, Body::from("{}")).await, Ok(2), "{accepted}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json; charset=latin1",
            "application/json; charset=utf-16",
            "application/json; version=1; charset=latin1",
            "application/json; charset=utf-8; charset=latin1",
            "application/json; charset=\"utf-8;latin1\"",
            "application/json+x",
            "application/problem+json",
            ";",
            "application/json, text/plain",
            "application/jsonp",
            "application/x-www-form-urlencoded",
        ] {
            let refused = code(bad, Body::from("{}")).await;
            assert_eq!(refused, Err(Problem::UnsupportedMediaType(JSON)), "{bad}");
        }
        for (encoding, accepted) in [
            ("identity", true),
            ("Identity", true),
            ("gzip", false),
            ("identity, gzip", false),
            ("br", false),
        ] {
            let request = request().header(CONTENT_TYPE, "application/json");
            let request = request
                .header(CONTENT_ENCODING, encoding)
                .body(Body::from("{}"));
            let read = read(request.expect("a request")).await.map(|_| ());
            let expected = if accepted {
                Ok(())
            } else {
                Err(Problem::UnsupportedMediaType(JSON))
            };
            assert_eq!(read, expected, "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_body_over_8_kib_is_rejected() {
        for (length, fits) in [(8_192, Ok(8_192)), (8_193, Err(Problem::BodyTooLarge))] {
            assert_eq!(
                code("application/json", Body::from(vec![b' '; length])).await,
                fits
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_times_out() {
        struct Endless;
        impl http_body::Body for Endless {
            type Data = bytes::Bytes;
            type Error = core::convert::Infallible;
            fn poll_frame(
                self: core::pin::Pin<&mut Self>,
                _: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>>
            {
                core::task::Poll::Pending
            }
        }
        let given_up = code("application/json", Body::new(Endless)).await;
        assert_eq!(given_up, Err(Problem::BodyTimeout));
    }
}
