//! `GET /.well-known/jwks.json`: the keys that verify our tokens ([RFC 7517 §5]).
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use portcullis_service::ports::RequestMeta;
use portcullis_service::signing::jwks_cache::Known;
use utoipa::ToSchema;

use crate::host::Host;
use crate::openapi::problems::{ANY, STORE, problems};
use crate::problem::Problem;

problems!(JwksProblems: ANY, STORE);

/// The public keys ([RFC 7517 §5]).
///
/// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
#[derive(ToSchema)]
#[schema(as = JwkSet)]
#[expect(dead_code, reason = "describes what is written")]
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
pub(super) async fn jwks(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
) -> Result<Response, Problem> {
    let known = match host.published_keys.fresh(call.now) {
        Some(known) => known,
        None => read(&host, &call).await?,
    };
    let set = host.published_keys.set(&known, call.now);
    let mut response = Response::new(Body::from(set.json));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/jwk-set+json"),
    );
    let lifetime = format!("public, max-age={}", set.max_age.as_secs());
    let lifetime = HeaderValue::from_str(&lifetime).map_err(|_| Problem::Internal)?;
    headers.insert(CACHE_CONTROL, lifetime);
    Ok(response)
}

async fn read(host: &Host, call: &RequestMeta) -> Result<Known, Problem> {
    // Whoever reads the set before the first login shall find the key in it. A host that cannot
    // sign still tells what others signed with: the failure is logged, the document decides.
    let ready = host.signer(call.now, &call.request_id).await;
    let _ = host.track(ready);
    let store = host.store(call.now);
    let known = host.published_keys.known(&store, call.now).await;
    host.track(known)
}
