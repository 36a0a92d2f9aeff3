//! A JSON body: an object with the members that its [`RequestBody`] declares, and no others.

use axum::body::{Body, HttpBody as _};
use http::Request;
use portcullis_core::json::{Json, Object};
use portcullis_core::secret::Secret;

use crate::problem::{MemberName, Problem};
use crate::routes::body;
use crate::routes::request_body::{Members, RequestBody};

/// Reads the body of `request`.
///
/// # Errors
///
/// The [`Problem`] of the request or of the JSON, or an unknown member. The problem of a declared
/// member is returned when the caller parses it.
pub(super) async fn read<B: RequestBody>(request: Request<Body>) -> Result<B, Problem> {
    parse(&body::read(request).await?)
}

/// As [`read`]; `None` without a body, which needs no content type, and for `null`, which some
/// clients send as no body.
///
/// # Errors
///
/// As [`read`].
pub(super) async fn read_optional<B: RequestBody>(
    request: Request<Body>,
) -> Result<Option<B>, Problem> {
    if request.body().is_end_stream() {
        return Ok(None);
    }
    let (parts, body) = request.into_parts();
    let whole = body::collect_in_time(&parts, body).await?;
    if whole.is_empty() {
        return Ok(None);
    }
    body::check_json(&parts.headers)?;
    if whole.trim_ascii() == b"null" {
        return Ok(None);
    }
    parse(&whole).map(Some)
}

/// As [`read`], but the problems that `then` finds come before an unknown member.
///
/// # Errors
///
/// As [`read`], and those of `then`.
pub(super) async fn read_then<B: RequestBody, T>(
    request: Request<Body>,
    then: impl FnOnce(B) -> Result<T, Problem>,
) -> Result<T, Problem> {
    parse_then(&body::read(request).await?, then)
}

/// As [`read`], of the bytes.
pub(super) fn parse<B: RequestBody>(json: &[u8]) -> Result<B, Problem> {
    let (body, complete) = take(json)?;
    complete?;
    Ok(body)
}

fn parse_then<B: RequestBody, T>(
    json: &[u8],
    then: impl FnOnce(B) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let (body, complete) = take(json)?;
    let value = then(body)?;
    complete?;
    Ok(value)
}

/// The declared members, and whether no other is left.
fn take<B: RequestBody>(json: &[u8]) -> Result<(B, Result<(), Problem>), Problem> {
    let members = Json::parse_object(json).map_err(|_| Problem::MalformedBody)?;
    let mut members = JsonMembers(members);
    let body = B::take(&mut members);
    let complete = match members.0.iter().next() {
        None => Ok(()),
        Some((name, _)) => Err(Problem::UnknownMember(MemberName::of(name))),
    };
    Ok((body, complete))
}

/// An object without the members that were taken.
struct JsonMembers(Object);

impl Members for JsonMembers {
    fn take(&mut self, name: &'static str) -> Result<Option<Secret<String>>, Problem> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(Secret::new(text))),
            Some(_) => Err(Problem::BadMember(name)),
        }
    }
}
