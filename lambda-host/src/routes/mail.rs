//! The endpoints around mail. A mail request is answered before the account is looked up. The token
//! of a link is redeemed by a POST only, because mail scanners follow links.

mod page;

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use portcullis_core::email::EmailAddress;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::mail::MailToken;
use portcullis_service::limit::LimitKey;
use portcullis_service::mailing::redeem::{
    self, PasswordEvidence, Presented, ResetOutcome, UnlockOutcome, VerifyOutcome,
};
use portcullis_service::mailing::request;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, EMAIL, LIMITED, NEW_PASSWORD, STORE, problems};
use crate::problem::Problem;
use crate::routes::api_call::ApiCall;
use crate::routes::json_body;
use crate::routes::mail::page::Page;
use crate::routes::request_body::{Optional, Required, request_body};
use crate::routes::response::empty;

problems!(AskProblems: ANY, BODY, EMAIL, STORE, LIMITED);
problems!(
    VerifyProblems: ANY, BODY, NEW_PASSWORD, STORE, LIMITED,
    [Problem::BadMailToken, Problem::NewPasswordRequired, Problem::Busy,
        Problem::BreachCheckUnavailable, Problem::RevocationPending]
);
problems!(
    ResetProblems: ANY, BODY, NEW_PASSWORD, STORE, LIMITED,
    [Problem::BadMailToken, Problem::Busy, Problem::BreachCheckUnavailable, Problem::RevocationPending]
);
problems!(UnlockProblems: ANY, BODY, STORE, LIMITED, [Problem::BadMailToken]);
problems!(PageProblems: ANY);

request_body! {
    /// The recipient.
    #[schema(as = MailRequest)]
    struct AddressBody {
        /// The address.
        #[schema(max_length = 254, example = "ann@example.com")]
        email: Required,
    }
}

request_body! {
    /// The token of a mailed link, and a new password if the host asked for one.
    #[schema(as = Verification)]
    struct VerifyBody {
        /// The text after `#` in the link.
        #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw.CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk")]
        token: Required,
        /// The new password, after `new_password_required`.
        #[schema(min_length = 15, max_length = 256, example = "gates fall at nightfall")]
        new_password: Optional,
    }
}

request_body! {
    /// The token of a mailed link.
    #[schema(as = Unlock)]
    struct TokenBody {
        /// The text after `#` in the link.
        #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw.CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk")]
        token: Required,
    }
}

request_body! {
    /// The token of a mailed link, and a new password.
    #[schema(as = PasswordReset)]
    struct ResetBody {
        /// The text after `#` in the link.
        #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw.CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk")]
        token: Required,
        /// The new password.
        #[schema(min_length = 15, max_length = 256, example = "gates fall at nightfall")]
        new_password: Required,
    }
}

/// Requests a mail that verifies an address. The response does not reveal whether one is sent.
#[utoipa::path(
    post,
    path = "/v1/email/resend",
    tag = "accounts",
    request_body = AddressBody,
    responses((status = 202, description = "Accepted"), AskProblems)
)]
pub(super) async fn resend(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let email = json_body::read_then(request, |body: AddressBody| body.email.email()).await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&asks(LimitKind::VerifyEmail, &email)).await?;
    open.run(request::ask_to_verify(&email, ctx)).await?;
    call.host().mail_waits.notify_one();
    Ok(empty(StatusCode::ACCEPTED))
}

/// Requests a mail that resets a password. The response does not reveal whether the address has an
/// account.
#[utoipa::path(
    post,
    path = "/v1/password/forgot",
    tag = "accounts",
    request_body = AddressBody,
    responses((status = 202, description = "Accepted"), AskProblems)
)]
pub(super) async fn forgot(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let email = json_body::read_then(request, |body: AddressBody| body.email.email()).await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&asks(LimitKind::ResetEmail, &email)).await?;
    open.run(request::ask_to_reset(&email, ctx)).await?;
    call.host().mail_waits.notify_one();
    Ok(empty(StatusCode::ACCEPTED))
}

/// Verifies an address by the token in its mail. The password of the registration stays only if this
/// browser sent the registration, which a cookie proves. Otherwise the response is
/// `new_password_required`, and the request is repeated with `new_password`. The first verification
/// ends every session and removes the second factor.
#[utoipa::path(
    post,
    path = "/v1/email/verify",
    tag = "accounts",
    request_body = VerifyBody,
    responses((status = 204, description = "Verified; the browser is known, by a cookie"), VerifyProblems)
)]
pub(super) async fn verify(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let members = |body: VerifyBody| Ok((token(body.token)?, body.new_password));
    let (token, new_password) = json_body::read_then(request, members).await?;
    let new_password = new_password.password()?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&LINK).await?;
    let registered_here = open.registered_here();
    let evidence = PasswordEvidence {
        registered_here: registered_here.as_ref(),
        new_password: new_password.as_ref(),
    };
    let hasher = open.hasher();
    let outcome = open
        .run(redeem::verify(
            &token,
            &evidence,
            &hasher,
            &call.host().screen,
            open.clock(),
            ctx,
        ))
        .await?;
    match outcome {
        VerifyOutcome::Done(proven) => {
            let mut response = empty(StatusCode::NO_CONTENT);
            open.remember_browser(response.headers_mut(), &proven.email, proven.generation)?;
            Ok(response)
        }
        // SECURITY: every reason gives the same response.
        VerifyOutcome::Refuse(_) => Err(Problem::BadMailToken.into()),
        VerifyOutcome::NewPasswordRequired => Err(Problem::NewPasswordRequired.into()),
        VerifyOutcome::BadPassword(rejection) => Err(Problem::UnfitPassword(rejection).into()),
    }
}

/// Marks a browser as known by the token in a mail, after too many failed logins. Its logins then
/// have a limit of their own. It does not log the user in, and does not verify the address.
#[utoipa::path(
    post,
    path = "/v1/login/unlock",
    tag = "sessions",
    request_body = TokenBody,
    responses((status = 204, description = "The browser is known, by a cookie"), UnlockProblems)
)]
pub(super) async fn unlock(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let token = json_body::read_then(request, |body: TokenBody| token(body.token)).await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&LINK).await?;
    match open.run(redeem::unlock(&token, ctx)).await? {
        UnlockOutcome::Done(proven) => {
            let mut response = empty(StatusCode::NO_CONTENT);
            open.remember_browser(response.headers_mut(), &proven.email, proven.generation)?;
            Ok(response)
        }
        // SECURITY: every reason gives the same response.
        UnlockOutcome::Refuse(_) => Err(Problem::BadMailToken.into()),
    }
}

/// Sets a new password by the token in a mail. Every session ends, and the user is not logged in.
/// The browser becomes known, so that an attacker's guesses do not lock the owner out.
#[utoipa::path(
    post,
    path = "/v1/password/reset",
    tag = "accounts",
    request_body = ResetBody,
    responses((status = 204, description = "The password is set"), ResetProblems)
)]
pub(super) async fn reset(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let members = |body: ResetBody| Ok((token(body.token)?, body.new_password));
    let (token, password) = json_body::read_then(request, members).await?;
    let password = password.password()?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&LINK).await?;
    let hasher = open.hasher();
    let outcome = open
        .run(redeem::reset(
            &token,
            &password,
            &hasher,
            &call.host().screen,
            open.clock(),
            ctx,
        ))
        .await?;
    match outcome {
        ResetOutcome::Done(proven) => {
            call.host().mail_waits.notify_one();
            let mut response = empty(StatusCode::NO_CONTENT);
            open.remember_browser(response.headers_mut(), &proven.email, proven.generation)?;
            Ok(response)
        }
        // SECURITY: every reason gives the same response.
        ResetOutcome::Refuse(_) => Err(Problem::BadMailToken.into()),
        ResetOutcome::BadPassword(rejection) => Err(Problem::UnfitPassword(rejection).into()),
    }
}

/// The page that a verification mail links to. It sends the token only when the user presses its
/// button.
#[utoipa::path(
    get,
    path = "/v1/email/verify",
    tag = "accounts",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), PageProblems)
)]
pub(super) async fn verify_page() -> Response {
    Page::Verify.answer()
}

/// The page that a password reset mail links to.
#[utoipa::path(
    get,
    path = "/v1/password/reset",
    tag = "accounts",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), PageProblems)
)]
pub(super) async fn reset_page() -> Response {
    Page::Reset.answer()
}

/// The page that an unlock mail links to.
#[utoipa::path(
    get,
    path = "/v1/login/unlock",
    tag = "sessions",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), PageProblems)
)]
pub(super) async fn unlock_page() -> Response {
    Page::Unlock.answer()
}

/// The limits of a mail request: `kind` counts the mails of one kind to one address.
const fn asks(kind: LimitKind, email: &EmailAddress) -> [(LimitKind, LimitKey<'_>); 2] {
    [
        (LimitKind::MailAddress, LimitKey::Network),
        (kind, LimitKey::Email(email)),
    ]
}

/// The limit of a redeemed link.
const LINK: [(LimitKind, LimitKey<'static>); 1] = [(LimitKind::LinkAddress, LimitKey::Network)];

fn token(member: Required) -> Result<Presented, Problem> {
    Ok(MailToken::parse(&member.text()?))
}
