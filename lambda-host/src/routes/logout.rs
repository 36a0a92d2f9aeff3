//! `POST /v1/logout`: the session of the bearer ends, and every edge hears of it. Asking twice is
//! no mistake.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Request, StatusCode};
use portcullis_jwt::NativeSignatures;
use portcullis_service::authenticate::{Caller, authenticate};
use portcullis_service::logout::{self, LogoutOutcome};
use portcullis_service::ports::Call;

use crate::clock::Watch;
use crate::host::Host;
use crate::openapi::problems::{ANY, STORE, TOKEN, problems};
use crate::problem::Problem;
use crate::routes::empty;

problems!(LogoutProblems: ANY, STORE, TOKEN, [Problem::NoSession, Problem::LateFeed]);

/// Ends the session of the token. Asking twice is no mistake.
#[utoipa::path(
    post,
    path = "/v1/logout",
    tag = "sessions",
    security(("bearer" = [])),
    responses((status = 204, description = "The session is over, and every edge knows"), LogoutProblems)
)]
pub(super) async fn logout(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let authorization = authorization(request.headers());
    let store = host.store(call.now);
    let caller = authenticate(
        &host.gate,
        authorization.as_deref(),
        &store,
        &NativeSignatures,
        call.now,
    );
    let caller = match host.settle(caller.await)? {
        // Somebody whose first answer was lost, or said that the feed was late, asks again: what is
        // called back is announced again, and the answer is the one that was lost.
        Caller::Known(caller) | Caller::Revoked(caller) => caller,
        Caller::Refused(denial) => return Err(Problem::Refused(denial)),
    };
    let clock = Watch::new(host.clock.as_ref(), call.now);
    let means = host.means(&store, &call).await?;
    let end = logout::logout(&caller, &clock, means).await;
    let outcome = host.settle(end)?;
    // A clock that failed meanwhile did not tell how long the writing took.
    clock.judge()?;
    match outcome {
        LogoutOutcome::Done => Ok(empty(StatusCode::NO_CONTENT)),
        LogoutOutcome::NoSession => Err(Problem::NoSession),
    }
}

/// Every `Authorization` value, joined as [RFC 9110 §5.3] says: more than one is no bearer token.
///
/// [RFC 9110 §5.3]: https://www.rfc-editor.org/rfc/rfc9110#section-5.3
fn authorization(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(AUTHORIZATION).iter();
    let values: Vec<_> = values
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use portcullis_core::bearer::bearer_token;
    use portcullis_core::denial::Denial;

    use super::*;

    #[test]
    fn two_tokens_are_none_and_no_header_is_no_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer_token(authorization(&headers).as_deref()), Ok(None));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert_eq!(
            bearer_token(authorization(&headers).as_deref()),
            Ok(Some("a.b.c"))
        );
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        let twice = authorization(&headers);
        assert_eq!(
            bearer_token(twice.as_deref()),
            Err(Denial::MalformedAuthorization)
        );
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_bytes(b"Bearer \xe9").expect("a value"),
        );
        let odd = authorization(&headers);
        assert_eq!(
            bearer_token(odd.as_deref()),
            Err(Denial::MalformedAuthorization)
        );
    }
}
