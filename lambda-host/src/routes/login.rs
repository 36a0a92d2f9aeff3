//! `POST /v1/login`: an access token for an address and its password.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::USER_AGENT;
use http::{Request, StatusCode};
use portcullis_core::json::Json;
use portcullis_core::session::Device;
use portcullis_service::login::{self, LoginOutcome, LoginRequest};
use portcullis_service::ports::Call;
use tracing::warn;
use utoipa::ToSchema;

use crate::failure::Chain;
use crate::host::Host;
use crate::openapi::problems::{ANY, BODY, EMAIL, PASSWORD, STORE, problems};
use crate::openapi::schemas::CredentialsBody;
use crate::problem::Problem;
use crate::routes::credentials::Credentials;
use crate::routes::json;

problems!(LoginProblems: ANY, BODY, EMAIL, PASSWORD, STORE, [Problem::BadCredentials, Problem::Busy]);

/// An access token ([RFC 6749 §5.1]).
///
/// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
#[derive(ToSchema)]
#[schema(as = AccessToken)]
#[expect(dead_code, reason = "describes what is written")]
struct AccessTokenBody {
    /// The token, for `Authorization: Bearer`.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(pattern = "^Bearer$", example = "Bearer")]
    token_type: String,
    /// How long it is good for, in seconds.
    #[schema(minimum = 1, example = 600)]
    expires_in: u64,
}

/// Logs in. An unknown address, a wrong password and a closed account are one answer.
#[utoipa::path(
    post,
    path = "/v1/login",
    tag = "sessions",
    request_body = CredentialsBody,
    responses((status = 200, description = "Logged in", body = AccessTokenBody), LoginProblems)
)]
pub(super) async fn login(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let device = request.headers().get(USER_AGENT);
    let device = Device::new(
        device
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default(),
    );
    let Credentials { email, password } = Credentials::read(request).await?;
    let request = LoginRequest {
        email,
        password,
        device,
    };
    let ready = host
        .signing_keys
        .ready(&host.client, call.now, &call.request_id)
        .await;
    let signer = host.settle(ready)?;
    let store = host.store(call.now);
    let means = host.means(&store, &call).await?;
    let hasher = host.hasher.with(means.vault);
    let end = login::login(&request, &hasher, signer, means);
    match host.settle(end.await)? {
        LoginOutcome::Admit(grant) => {
            if let Some(error) = &grant.not_rehashed {
                warn!(error = %Chain(error), "a password hash was not renewed");
            }
            let body = format!(
                r#"{{"access_token":{},"token_type":"Bearer","expires_in":{}}}"#,
                Json::quote(grant.access.token.expose()),
                grant.access.expires_in.as_secs(),
            );
            Ok(json(StatusCode::OK, body))
        }
        // SECURITY: an unknown address, a wrong password and a closed account are one answer.
        LoginOutcome::Refuse(_) => Err(Problem::BadCredentials),
    }
}
