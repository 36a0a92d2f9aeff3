//! Signature Version 4 over an `http::Request`, at an explicit time.
//!
//! `aws-sigv4` derives the key and computes the signature. The canonical form is implemented here
//! and tested with the vectors of AWS and botocore.

mod canonical;

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use core::time::Duration;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Uri};
use portcullis_core::time::UnixTime;
use thiserror::Error;

use crate::credentials::Credentials;
use crate::hash::sha256_hex;
use crate::headers::{DATE, SECURITY_TOKEN};
use canonical::SignedHeaders;

/// The first second of the year 10000, which does not fit in the eight digits of a scope's date.
const END_OF_DATES: UnixTime = UnixTime::from_secs(253_402_300_800);

/// The headers that signing sets; they replace those of an earlier signature.
const ADDED: [HeaderName; 3] = [AUTHORIZATION, DATE, SECURITY_TOKEN];

/// The scope of a signature: one service in one region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CredentialScope<'a> {
    /// The service's signing name, `dynamodb`.
    pub service: &'a str,
    /// The region, for example `eu-central-1`.
    pub region: &'a str,
}

/// A request could not be signed. The error quotes neither the request nor the key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SigV4Error {
    /// The time is outside the years that a signature can express.
    #[error("the signing time is beyond the year 9999")]
    Time,
    /// The request's URL or a header has no canonical form.
    #[error("the URL or a header of the request has no canonical form")]
    Request,
    /// The access key id or the session token is empty or contains spaces or line breaks.
    #[error("the access key id or the session token is empty or contains spaces")]
    Credentials,
}

/// Adds `x-amz-date`, `authorization` and, for temporary credentials, `x-amz-security-token`.
///
/// Every present header is signed, so headers that an intermediary may change are added afterwards.
/// The host comes from the request's URL.
///
/// # Errors
///
/// [`SigV4Error`] if `now`, the request or the credentials have no valid form for a signature;
/// `request` is unchanged then.
pub fn sign(
    request: &mut Request<Bytes>,
    scope: CredentialScope<'_>,
    credentials: &Credentials,
    now: UnixTime,
) -> Result<(), SigV4Error> {
    // The `time` crate, which formats the date, panics beyond it.
    if now >= END_OF_DATES {
        return Err(SigV4Error::Time);
    }
    let time = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(now.as_secs()))
        .ok_or(SigV4Error::Time)?;
    let parts = [
        Some(credentials.access_key_id()),
        credentials.session_token(),
    ];
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    if !parts.into_iter().flatten().all(is_token) {
        return Err(SigV4Error::Credentials);
    }
    // 2026-11-23T18:46:43Z without its punctuation.
    let stamp: String = now
        .to_string()
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    let date = stamp.get(..8).ok_or(SigV4Error::Time)?;

    let mut headers = SignedHeaders::default();
    let present = request.headers().iter();
    for (name, value) in present.filter(|(name, _)| !ADDED.contains(name)) {
        let value = value.to_str().map_err(|_unprintable| SigV4Error::Request)?;
        headers.insert(name.as_str(), value);
    }
    headers.insert(DATE.as_str(), &stamp);
    if let Some(token) = credentials.session_token() {
        headers.insert(SECURITY_TOKEN.as_str(), token);
    }
    if !headers.contains("host") {
        headers.insert("host", &host(request.uri()).ok_or(SigV4Error::Request)?);
    }
    let canonical = canonical::request(
        request.method().as_str(),
        request.uri(),
        &headers,
        request.body(),
    );
    let scope_text = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = sha256_hex(canonical.as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope_text}\n{hash}");
    let key = generate_signing_key(
        credentials.secret_access_key(),
        time,
        scope.region,
        scope.service,
    );
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope_text}, SignedHeaders={}, Signature={}",
        credentials.access_key_id(),
        headers.names(),
        calculate_signature(key, to_sign.as_bytes()),
    );

    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| SigV4Error::Credentials);
    let mut authorization = value(&authorization)?;
    authorization.set_sensitive(true);
    let token = credentials.session_token().map(value).transpose()?;
    let stamp = value(&stamp)?;
    let added = request.headers_mut();
    for name in ADDED {
        added.remove(name);
    }
    added.insert(DATE, stamp);
    added.insert(AUTHORIZATION, authorization);
    if let Some(mut token) = token {
        token.set_sensitive(true);
        added.insert(SECURITY_TOKEN, token);
    }
    Ok(())
}

/// The `Host` header for `uri`: without the default port of its scheme.
fn host(uri: &Uri) -> Option<String> {
    let authority = uri.authority()?;
    let implied = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    Some(match authority.port_u16() {
        Some(port) if Some(port) != implied => format!("{}:{port}", authority.host()),
        Some(_) | None => authority.host().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::secret::Secret;

    const NOON: UnixTime = UnixTime::from_secs(1_440_938_160);
    const SCOPE: CredentialScope<'_> = CredentialScope {
        service: "service",
        region: "us-east-1",
    };

    fn key() -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        )
    }

    fn request() -> Request<Bytes> {
        Request::get("http://example.amazonaws.com/")
            .body(Bytes::new())
            .unwrap()
    }

    #[test]
    fn the_get_vanilla_signing_vector_of_aws_matches() {
        let mut request = request();
        sign(&mut request, SCOPE, &key(), NOON).unwrap();
        assert_eq!(
            request.headers()["authorization"],
            "AWS4-HMAC-SHA256 \
             Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
    }

    #[test]
    fn signing_works_until_the_last_second_of_9999() {
        let last = UnixTime::from_secs(END_OF_DATES.as_secs() - 1);
        let mut signed = request();
        sign(&mut signed, SCOPE, &key(), last).unwrap();
        assert_eq!(signed.headers()["x-amz-date"], "99991231T235959Z");
        for late in [END_OF_DATES, UnixTime::from_secs(u64::MAX)] {
            assert_eq!(
                sign(&mut request(), SCOPE, &key(), late),
                Err(SigV4Error::Time)
            );
        }
    }

    #[test]
    fn an_access_key_that_is_no_header_value_is_rejected_and_changes_nothing() {
        let secret = || Secret::new("secret".to_owned());
        for broken in [
            key().with_session_token(Secret::new("two\nlines".to_owned())),
            key().with_session_token(Secret::new(String::new())),
            Credentials::new("AKIDEXAMPLE\n", secret()),
            Credentials::new("", secret()),
        ] {
            let mut request = request();
            assert_eq!(
                sign(&mut request, SCOPE, &broken, NOON),
                Err(SigV4Error::Credentials)
            );
            assert!(request.headers().is_empty());
        }
    }

    #[test]
    fn signing_again_replaces_the_old_signature() {
        let temporary = key().with_session_token(Secret::new("session".to_owned()));
        let earlier = UnixTime::from_secs(NOON.as_secs() - 60);
        let mut again = request();
        sign(&mut again, SCOPE, &temporary, earlier).unwrap();
        assert!(again.headers().contains_key("x-amz-security-token"));
        sign(&mut again, SCOPE, &key(), NOON).unwrap();
        let mut once = request();
        sign(&mut once, SCOPE, &key(), NOON).unwrap();
        assert_eq!(again.headers(), once.headers());
    }

    #[test]
    fn a_header_that_is_not_text_is_rejected_by_signing() {
        let mut request = request();
        let value = HeaderValue::from_bytes(&[0xff]).unwrap();
        request.headers_mut().insert("x-odd", value);
        assert_eq!(
            sign(&mut request, SCOPE, &key(), NOON),
            Err(SigV4Error::Request)
        );
    }
}
