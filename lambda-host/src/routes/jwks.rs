//! `GET /.well-known/jwks.json`: the keys that verify our tokens ([RFC 7517 §5]).
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use portcullis_service::ports::Call;

use crate::host::Host;
use crate::keys::PublishedSet;
use crate::problem::Problem;

pub(super) async fn jwks(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<Call>,
) -> Result<Response, Problem> {
    let set = match host.published_keys.fresh(call.now) {
        Some(set) => set,
        None => read(&host, &call).await?,
    };
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

async fn read(host: &Host, call: &Call) -> Result<PublishedSet, Problem> {
    // Whoever reads the set before the first login shall find the key in it. A host that cannot
    // sign still tells what others signed with: the failure is logged, the document decides.
    let ready = host
        .signing_keys
        .ready(&host.client, call.now, &call.request_id)
        .await;
    let _ = host.settle(ready);
    let set = host
        .published_keys
        .set(&host.store(call.now), call.now)
        .await;
    host.settle(set)
}
