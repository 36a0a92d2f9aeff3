//! `POST /v1/register`: the same response for every address, against account enumeration.

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::limit::LimitKey;
use portcullis_service::register::{self, RegisterOutcome, RegisterRequest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, EMAIL, LIMITED, NEW_PASSWORD, STORE, problems};
use crate::problem::Problem;
use crate::routes::api_call::ApiCall;
use crate::routes::credentials::{Credentials, CredentialsBody};
use crate::routes::response::json;

problems!(RegisterProblems: ANY, BODY, EMAIL, NEW_PASSWORD, STORE, LIMITED, [Problem::DisposableEmail, Problem::Busy, Problem::BreachCheckUnavailable]);

/// The registered user.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
struct RegisteredBody {
    /// The user ID; random if the address already has an account.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "BwcHBwcHBwcHBwcHBwcHBw")]
    user_id: String,
}

/// Creates an account. The response does not reveal whether the address already had one. It sets a
/// cookie: the browser that has it verifies the address without a new password.
#[utoipa::path(
    post,
    path = "/v1/register",
    tag = "accounts",
    request_body = CredentialsBody,
    responses((status = 201, description = "Accepted", body = RegisteredBody), RegisterProblems)
)]
pub(super) async fn register(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let Credentials { email, password } = Credentials::read(request).await?;
    if call.host().disposable.refuses(&email) {
        return Err(Problem::DisposableEmail.into());
    }
    let request = RegisterRequest { email, password };
    let open = call.open().await?;
    let ctx = open.ctx();
    let hasher = open.hasher();
    let buckets = [
        (LimitKind::RegisterAddress, LimitKey::Network),
        (LimitKind::RegisterEmail, LimitKey::Email(&request.email)),
    ];
    open.acquire(&buckets).await?;
    let outcome = open
        .run(register::register(
            &request,
            &hasher,
            &call.host().screen,
            ctx,
        ))
        .await?;
    call.host().mail_waits.notify_one();
    match outcome {
        RegisterOutcome::Accepted(user_id) => {
            let body = RegisteredBody {
                user_id: user_id.as_str().to_owned(),
            };
            let mut response = json(StatusCode::CREATED, &body);
            open.mark_registration(response.headers_mut(), &user_id);
            Ok(response)
        }
        RegisterOutcome::BadEmail(error) => Err(Problem::BadEmail(error).into()),
        RegisterOutcome::BadPassword(rejection) => Err(Problem::UnfitPassword(rejection).into()),
    }
}
