//! `POST /v1/password/change`: a new password, and every other session of the account ends.

use axum::body::Body;
use axum::response::Response;
use http::Request;
use portcullis_core::denial::Denial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::authenticate::Authentication;
use portcullis_service::change_password::{
    self, ChangePasswordOutcome, ChangePasswordRequest, Tools,
};
use portcullis_service::limit::LimitKey;
use portcullis_service::logout::LogoutOutcome;
use portcullis_service::logout_all;
use portcullis_service::open_session::GrantTerms;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, LIMITED, NEW_PASSWORD, STORE, TOKEN, problems};
use crate::problem::Problem;
use crate::routes::api_call::ApiCall;
use crate::routes::caller;
use crate::routes::json_body;
use crate::routes::refresh_cookie::{GrantBody, delivery_of, token_response};
use crate::routes::request_body::{Required, request_body};

problems!(ChangeProblems: ANY, BODY, NEW_PASSWORD, STORE, LIMITED, TOKEN, [
    Problem::NoSession, Problem::WrongPassword, Problem::AccountChanged, Problem::Busy,
    Problem::BreachCheckUnavailable, Problem::RevocationPending,
]);

request_body! {
    /// The current and the new password.
    #[schema(as = PasswordChange)]
    struct ChangeBody {
        /// The current password.
        #[schema(max_length = 256, example = "correct horse battery")]
        current_password: Required,
        /// The new password: at least 15 characters, or 8 with a second factor.
        #[schema(
            min_length = 8,
            max_length = 256,
            example = "gravel otter lampshade quince"
        )]
        new_password: Required,
    }
}

/// Changes the password. Every other session ends before the response. The current session gets new
/// tokens, and its earlier ones are invalid. A refresh token in the cookie is replaced there. The browser stays known; every
/// other browser becomes unknown.
#[utoipa::path(
    post,
    path = "/v1/password/change",
    tag = "passwords",
    security(("bearer" = [])),
    request_body = ChangeBody,
    responses((status = 200, description = "Changed", body = GrantBody), ChangeProblems)
)]
pub(super) async fn change(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let caller = bearer(&call).await?;
    let body: ChangeBody = json_body::read(request).await?;
    let issuing = &call.host().settings.issuing;
    let session = caller::session(&caller)?;
    let (current, new) = (
        body.current_password.password()?,
        body.new_password.password()?,
    );
    let signer = call.signer().await?;
    let open = call.open().await?;
    let terms = GrantTerms {
        audience: issuing.account(),
        delivery: delivery_of(call.headers(), &session.id, open.root_keys()),
    };
    let request = ChangePasswordRequest {
        user_id: caller::user_id(&caller)?,
        session,
        terms,
        current,
        new,
    };
    let ctx = open.ctx();
    let limit_key = LimitKey::Account(&request.user_id);
    let place = open
        .acquire_refundable(LimitKind::PasswordAccount, limit_key)
        .await?;
    let tools = Tools {
        hasher: &open.hasher(),
        screen: &call.host().screen,
        signer: &*signer,
        clock: open.clock(),
    };
    let outcome = open
        .run(change_password::change_password(&request, &tools, ctx))
        .await?;
    match outcome {
        ChangePasswordOutcome::Changed(changed) => {
            open.refund(&place).await;
            let mut response = token_response(&changed.grant, ctx.root_keys);
            let headers = response.headers_mut();
            open.remember_browser(headers, &changed.email, changed.generation)?;
            Ok(response)
        }
        ChangePasswordOutcome::WrongPassword => Err(Problem::WrongPassword.into()),
        ChangePasswordOutcome::PasswordRejected(rejection) => {
            Err(Problem::UnfitPassword(rejection).into())
        }
        ChangePasswordOutcome::Conflict => Err(Problem::AccountChanged.into()),
    }
}

/// The bearer of a valid token. After a change that ended with `revocation_pending`, the client retries
/// with the earlier token: then the revocation is announced again before the rejection.
async fn bearer(call: &ApiCall) -> Result<Box<Verified<Claims>>, ApiError> {
    match call.authenticate_for_account().await? {
        Authentication::Known(caller) => Ok(caller),
        Authentication::SubjectRevoked(caller) => {
            let open = call.open().await?;
            open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
                .await?;
            let again = logout_all::announce_again(&caller, open.clock(), open.ctx());
            let (LogoutOutcome::Done | LogoutOutcome::NoSession) = open.run(again).await?;
            Err(Problem::Denied(Denial::Revoked).into())
        }
        Authentication::Revoked(_) => Err(Problem::Denied(Denial::Revoked).into()),
        Authentication::Refused(denial) => Err(Problem::Denied(denial).into()),
    }
}
