//! `POST /v1/login`: opens a session for an address and its password.

use axum::body::Body;
use axum::response::Response;
use http::header::{HeaderMap, USER_AGENT};
use http::{Request, StatusCode};
use portcullis_core::email::EmailAddress;
use portcullis_core::refresh::Delivery;
use portcullis_core::secret::Secret;
use portcullis_core::session::Device;
use portcullis_service::error::UseCaseError;
use portcullis_service::factor::CHALLENGE_LIFETIME;
use portcullis_service::limit::Reservation;
use portcullis_service::login::{self, LoginOutcome, LoginRequest};
use portcullis_service::logout;
use portcullis_service::mailing::request::offer_unlock;
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, EMAIL, LIMITED, PASSWORD, STORE, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::limits::warn_if_uncounted;
use crate::routes::api_call::{ApiCall, OpenCall};
use crate::routes::credentials::Credentials;
use crate::routes::json_body;
use crate::routes::refresh_cookie::{self, GrantBody, token_response};
use crate::routes::request_body::{Optional, Required, request_body};
use crate::routes::response::{IssuedSecret, json};
use portcullis_host::error_chain::ErrorChain;

problems!(
    LoginProblems: ANY, BODY, EMAIL, PASSWORD, STORE, LIMITED,
    [
        Problem::BadCredentials, Problem::LoginLocked, Problem::Busy, Problem::RevocationPending,
        Problem::Token(TokenProblem::InvalidTarget),
    ]
);

request_body! {
    /// The credentials, and the place of the refresh token.
    #[schema(as = LoginRequest)]
    struct LoginRequestBody {
        /// The account's address.
        #[schema(max_length = 254, example = "ann@example.com")]
        email: Required,
        /// Its password.
        #[schema(max_length = 256, example = "gates fall at nightfall")]
        password: Required,
        /// `cookie` sets the refresh token as a cookie that no script reads; `body`, the default,
        /// returns it in the body.
        #[schema(pattern = "^(body|cookie)$", example = "body")]
        transport: Optional,
        /// The audience of the access token (RFC 8707); the default one without it.
        #[schema(max_length = 512, example = "https://api.example")]
        resource: Optional,
    }
}

/// The second step of a login, if the account has a second factor.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondStep)]
struct SecondStepBody {
    /// Always true.
    #[schema(example = true)]
    second_factor_required: bool,
    /// The accepted methods: `totp`, `recovery_code`.
    #[schema(example = json!(["totp", "recovery_code"]))]
    methods: [&'static str; 2],
    /// The challenge to send with the code.
    #[schema(value_type = String)]
    challenge: IssuedSecret,
    /// The lifetime of the challenge, in seconds.
    #[schema(minimum = 1, example = 300)]
    expires_in: u64,
}

/// Tokens, or the second step.
#[derive(ToSchema)]
#[schema(as = Login)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a response")]
enum LoginBody {
    Token(GrantBody),
    SecondStep(SecondStepBody),
}

/// Logs in. A session in the refresh cookie of the request ends. An unknown address, a wrong password and a disabled account give the same response.
#[utoipa::path(
    post,
    path = "/v1/login",
    tag = "sessions",
    request_body = LoginRequestBody,
    responses((status = 200, description = "Logged in", body = LoginBody), LoginProblems)
)]
pub(super) async fn login(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let device = device(request.headers());
    let body: LoginRequestBody = json_body::read(request).await?;
    let Credentials { email, password } = Credentials::parse(body.email, body.password)?;
    let terms = call.terms(body.resource, refresh_cookie::delivery(body.transport)?)?;
    let signer = call.signer().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    let hasher = open.hasher();
    let place = match open.acquire_login(&email).await {
        Ok(place) => place,
        Err(error) => {
            mail_unlock_if_locked(&open, &email, error.problem).await?;
            return Err(error);
        }
    };
    let request = LoginRequest {
        email,
        password,
        device,
        terms,
        known_generation: place.known_generation,
    };
    let end = login::login(&request, &hasher, &*signer, ctx);
    match open.run(end).await? {
        LoginOutcome::Admit(admission) => {
            note(admission.not_rehashed.as_ref());
            open.refund(&place).await;
            refund_recounted(&open, admission.recounted.as_ref()).await;
            end_replaced_session(&call, &open).await?;
            let mut response = token_response(&admission.grant, ctx.root_keys);
            clear_replaced(&call, admission.grant.delivery, response.headers_mut());
            let headers = response.headers_mut();
            open.remember_browser(headers, &request.email, admission.generation)?;
            Ok(response)
        }
        LoginOutcome::Challenge(challenge) => {
            note(challenge.not_rehashed.as_ref());
            // The password was right: from here on, codes are counted.
            open.refund(&place).await;
            refund_recounted(&open, challenge.recounted.as_ref()).await;
            Ok(json(StatusCode::OK, &second_step(&challenge.challenge)))
        }
        // SECURITY: an unknown address, a wrong password and a disabled account give the same
        // response.
        LoginOutcome::Refuse(_) => Err(Problem::BadCredentials.into()),
        LoginOutcome::Limited(limited) => {
            let problem = Problem::from(limited);
            mail_unlock_if_locked(&open, &request.email, problem).await?;
            Err(problem.into())
        }
    }
}

/// Requests the mail that makes the browser of the owner known, if only known browsers may log in.
// SECURITY: only the owner of the mailbox learns whether the account exists.
async fn mail_unlock_if_locked(
    open: &OpenCall<'_>,
    email: &EmailAddress,
    problem: Problem,
) -> Result<(), ApiError> {
    if problem == Problem::LoginLocked {
        open.run(offer_unlock(email, open.ctx())).await?;
        open.host().mail_waits.notify_one();
    }
    Ok(())
}

/// Ends the session whose refresh token this browser still has in its cookie: the login replaces it.
/// If that fails, the client gets no tokens and retries.
pub(super) async fn end_replaced_session(
    call: &ApiCall,
    open: &OpenCall<'_>,
) -> Result<(), ApiError> {
    if let Some(cookie) = refresh_cookie::token(call.headers()) {
        let end = logout::end_replaced(&cookie, open.clock(), open.ctx());
        open.run(end).await?;
    }
    Ok(())
}

/// Deletes the cookie of the replaced session, if the new tokens are in the body.
pub(super) fn clear_replaced(call: &ApiCall, delivery: Delivery, headers: &mut HeaderMap) {
    if delivery == Delivery::Body && refresh_cookie::token(call.headers()).is_some() {
        refresh_cookie::clear(headers);
    }
}

/// Refunds the second count of a browser with an outdated device cookie.
async fn refund_recounted(open: &OpenCall<'_>, recounted: Option<&Reservation>) {
    if let Some(reservation) = recounted {
        warn_if_uncounted(reservation);
        open.refund(reservation).await;
    }
}

/// The client's own description of its device.
pub(super) fn device(headers: &HeaderMap) -> Device {
    let value = headers.get(USER_AGENT);
    Device::new(
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default(),
    )
}

/// The body of the second step.
fn second_step(challenge: &Secret<String>) -> SecondStepBody {
    SecondStepBody {
        second_factor_required: true,
        methods: ["totp", "recovery_code"],
        challenge: challenge.clone().into(),
        expires_in: CHALLENGE_LIFETIME.as_secs(),
    }
}

fn note(not_rehashed: Option<&UseCaseError>) {
    if let Some(error) = not_rehashed {
        warn!(error = %ErrorChain(error), "an outdated password hash was not replaced");
    }
}
