//! `GET /.well-known/jwks.json`: the keys that verify this host's tokens ([RFC 7517 §5]).
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use portcullis_service::signing::jwks_cache::Known;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::cors;
use crate::openapi::problems::{ANY, STORE, problems};
use crate::problem::Problem;
use crate::routes::api_call::ApiCall;

problems!(JwksProblems: ANY, STORE);

/// The public keys ([RFC 7517 §5]).
///
/// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
#[derive(ToSchema)]
#[schema(as = JwkSet)]
#[expect(dead_code, reason = "describes a response")]
struct JwkSetBody {
    /// Each key as a JWK.
    #[schema(value_type = Vec<Object>)]
    keys: (),
}

/// The keys that verify this issuer's tokens.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "service",
    responses(
        (status = 200, description = "The key set", body = JwkSetBody, content_type = "application/jwk-set+json"),
        JwksProblems
    )
)]
pub(super) async fn jwks(call: ApiCall) -> Result<Response, ApiError> {
    let (keys, now) = (&call.host().published_keys, call.meta().now);
    let known = match keys.fresh(now) {
        Some(known) => known,
        None => read(&call).await?,
    };
    let set = keys.set(&known, now);
    let mut response = Response::new(Body::from(set.json));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/jwk-set+json"),
    );
    let lifetime = format!("public, max-age={}", set.max_age.as_secs());
    let lifetime = HeaderValue::from_str(&lifetime).map_err(|_| Problem::Internal)?;
    headers.insert(CACHE_CONTROL, lifetime);
    cors::allow_every_page(headers);
    Ok(response)
}

async fn read(call: &ApiCall) -> Result<Known, ApiError> {
    // The set contains the host's key even before the first login. A host that cannot sign still publishes the
    // keys of other hosts: the failure is logged, the document decides.
    if let Err(error) = call.signer().await {
        error.log();
    }
    let (host, now) = (call.host(), call.meta().now);
    let known = host.published_keys.known(&host.store(now), now).await;
    Ok(host.track(known)?)
}
