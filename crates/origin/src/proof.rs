//! The check of one request.

use http::Version;
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use portcullis_core::assertion::verification::{
    self, AssertionClaims, ProofError, ReceivedRequest,
};
use portcullis_core::forwarding::{
    ASSERTION_HEADER, EDGE_SECRET_HEADER, REQUEST_ID_HEADER, is_reserved, is_under,
};
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_jwt::NativeVerifier;
use subtle::{Choice, ConstantTimeEq as _};

use crate::identity::EdgeIdentity;
use crate::settings::{Expected, Settings, is_public_key};

/// Checks a request, replaces its proof by an [`EdgeIdentity`] and removes the headers that are not
/// proved.
pub(crate) async fn check(
    settings: &Settings,
    parts: &mut Parts,
    now: UnixTime,
) -> Result<(), ProofError> {
    let identity = match settings.expected.as_ref() {
        Expected::Secret(secrets) => by_secret(settings, secrets, &parts.headers)?,
        Expected::SharedKeys(_) | Expected::Keys(_) | Expected::Published(_) => {
            let identity = by_assertion(settings, parts, now).await?;
            // SECURITY: the assertion does not cover these headers, so no handler may read them.
            remove(&mut parts.headers, |name| is_under(name, &settings.prefix));
            identity
        }
    };
    // A handler that logs or forwards its headers must not disclose the secret.
    remove(&mut parts.headers, is_reserved);
    parts.extensions.insert(identity);
    Ok(())
}

fn by_secret(
    settings: &Settings,
    secrets: &[Secret<String>],
    headers: &HeaderMap,
) -> Result<EdgeIdentity, ProofError> {
    let shown = only(headers, EDGE_SECRET_HEADER)?.ok_or(ProofError::NotOneHeader)?;
    // SECURITY: every secret is compared, in constant time.
    let same = secrets.iter().fold(Choice::from(0), |same, secret| {
        same | secret.expose().as_bytes().ct_eq(shown.as_bytes())
    });
    if !bool::from(same) {
        return Err(ProofError::WrongSecret);
    }
    let value = |name: &str| only(headers, name).map(|value| value.map(str::to_owned));
    let identity = |suffix: &str| value(&format!("{}{suffix}", settings.prefix));
    let identity = EdgeIdentity {
        subject: identity("subject")?,
        issuer: identity("issuer")?,
        scopes: EdgeIdentity::scopes(&identity("scope")?.unwrap_or_default()),
        roles: EdgeIdentity::roles(&identity("roles")?.unwrap_or_default())
            .ok_or(ProofError::MalformedClaims)?,
        session: identity("session")?,
        request_id: value(REQUEST_ID_HEADER)?.unwrap_or_default(),
        host: value("x-forwarded-host")?.unwrap_or_default(),
    };
    // An identity is whole or absent, and its parts are not empty.
    let is_whole = match (&identity.subject, &identity.issuer) {
        (Some(subject), Some(issuer)) => !subject.is_empty() && !issuer.is_empty(),
        (None, None) => {
            identity.scopes.is_empty() && identity.roles.is_empty() && identity.session.is_none()
        }
        (_, _) => false,
    };
    if !is_whole {
        return Err(ProofError::MalformedClaims);
    }
    let hosts = settings.hosts.as_ref();
    if hosts.is_some_and(|hosts| !verification::is_listed(&identity.host, hosts)) {
        return Err(ProofError::WrongHost);
    }
    Ok(identity)
}

async fn by_assertion(
    settings: &Settings,
    parts: &Parts,
    now: UnixTime,
) -> Result<EdgeIdentity, ProofError> {
    let assertion = only(&parts.headers, ASSERTION_HEADER)?.ok_or(ProofError::NotOneHeader)?;
    let jws = verification::parse(assertion)?;
    check_signature(&settings.expected, &jws, now).await?;
    let claims = AssertionClaims::parse(&jws.payload)?;
    // HTTP/1.1 has the authority in the target only in the absolute form, which no edge sends. HTTP/2
    // has it in a field of its own (RFC 9113 §8.3.1).
    if parts.version < Version::HTTP_2 && parts.uri.authority().is_some() {
        return Err(ProofError::WrongTarget);
    }
    let target = parts.uri.path_and_query();
    claims.check(&ReceivedRequest {
        audience: &settings.audience,
        method: parts.method.as_str(),
        target: target.map_or("", |target| target.as_str()),
        hosts: settings.hosts.as_deref(),
        now,
        leeway: settings.leeway,
    })?;
    let mut identity = EdgeIdentity {
        request_id: claims.request_id,
        host: claims.host,
        ..EdgeIdentity::default()
    };
    if let Some(caller) = claims.identity {
        identity.subject = Some(caller.subject);
        identity.issuer = Some(caller.issuer);
        identity.scopes = EdgeIdentity::scopes(&caller.scope.unwrap_or_default());
        identity.session = caller.session;
        identity.roles = caller.roles;
        identity.roles.retain(|role| !role.is_empty());
    }
    Ok(identity)
}

async fn check_signature(
    expected: &Expected,
    jws: &Jws<'_>,
    now: UnixTime,
) -> Result<(), ProofError> {
    let published;
    let keys: Vec<&VerifyingKey> = match expected {
        Expected::Secret(_) => Vec::new(),
        Expected::SharedKeys(keys) => keys.iter().collect(),
        Expected::Keys(_) | Expected::Published(_) => {
            let id = jws.header.key_id.as_deref().ok_or(ProofError::UnknownKey)?;
            published = match expected {
                Expected::Published(source) => source.find(id, now).await,
                Expected::Keys(set) => set.find(Some(id)).cloned(),
                Expected::Secret(_) | Expected::SharedKeys(_) => None,
            };
            let key = published.as_ref().ok_or(ProofError::UnknownKey)?;
            // SECURITY: RFC 8725 §3.1. A published key is never a shared secret.
            if !is_public_key(key) {
                return Err(ProofError::WrongAlgorithm);
            }
            vec![key]
        }
    };
    for key in keys {
        let check = SignatureCheck::new(jws, key).map_err(|_| ProofError::WrongAlgorithm)?;
        if NativeVerifier.check_now(&check) == Ok(SignatureVerdict::Valid) {
            return Ok(());
        }
    }
    Err(ProofError::BadSignature)
}

/// The value of a header; `None` without it.
///
/// # Errors
///
/// [`ProofError::NotOneHeader`] for a second one, or for a value that is not ASCII.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ProofError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ProofError::NotOneHeader);
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| ProofError::NotOneHeader)
}

fn remove(headers: &mut HeaderMap, matches: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| matches(name.as_str()));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
