//! `POST /v1/login/factor`: the second step of a login.

use axum::body::Body;
use axum::response::Response;
use http::Request;
use portcullis_core::audit::LoginDenial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::factor::{self, FactorLoginRequest};
use portcullis_service::limit::LimitKey;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, LIMITED, STORE, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::json_body;
use crate::routes::refresh_cookie::{self, GrantBody, token_response};
use crate::routes::request_body::{Optional, Required, request_body};
use crate::routes::{factors, login};

problems!(FactorLoginProblems: ANY, BODY, STORE, LIMITED, [
    Problem::BadCode, Problem::BadChallenge, Problem::WrongCode, Problem::FactorLocked,
    Problem::RevocationPending, Problem::Token(TokenProblem::InvalidTarget),
]);

request_body! {
    /// The challenge, and one of the codes.
    #[schema(as = FactorLogin)]
    struct FactorLoginBody {
        /// The challenge of the login.
        #[schema(max_length = 1024)]
        challenge: Required,
        /// The code that the device shows; not together with a recovery code.
        #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
        code: Optional,
        /// A recovery code.
        #[schema(max_length = 32)]
        recovery_code: Optional,
        /// The place of the refresh token, as at the login.
        #[schema(pattern = "^(body|cookie)$", example = "body")]
        transport: Optional,
        /// The audience of the access token (RFC 8707); the default one without it.
        #[schema(max_length = 512, example = "https://api.example")]
        resource: Optional,
    }
}

/// Logs in with the second factor, within five minutes of the password and from the same device.
#[utoipa::path(
    post,
    path = "/v1/login/factor",
    tag = "sessions",
    request_body = FactorLoginBody,
    responses((status = 200, description = "Logged in", body = GrantBody), FactorLoginProblems)
)]
pub(super) async fn login_factor(
    call: ApiCall,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let device = login::device(request.headers());
    let body: FactorLoginBody = json_body::read(request).await?;
    let terms = call.terms(body.resource, refresh_cookie::delivery(body.transport)?)?;
    let request = FactorLoginRequest {
        challenge: body.challenge.text()?,
        proof: factors::proof(body.code, body.recovery_code)?,
        device,
        terms,
    };
    let signer = call.signer().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    // An invalid challenge names no account: the request counts by its network, and its code is not
    // verified.
    let challenged = factor::challenged(&request, ctx);
    let counted = match &challenged {
        Some(account) => {
            let limit_key = LimitKey::Factor(&account.user_id, &account.factor_id);
            let kind = request.proof.limit();
            Some(open.acquire_refundable(kind, limit_key).await?)
        }
        None => {
            open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
                .await?;
            None
        }
    };
    match open.run(factor::login(&request, &*signer, ctx)).await? {
        Ok(grant) => {
            login::end_replaced_session(&call, &open).await?;
            let mut response = token_response(&grant, ctx.root_keys);
            login::clear_replaced(&call, grant.delivery, response.headers_mut());
            if let (Some(account), Some(place)) = (&challenged, &counted) {
                open.refund(place).await;
                let headers = response.headers_mut();
                open.remember_browser(headers, &account.email, account.generation)?;
            }
            Ok(response)
        }
        Err(LoginDenial::WrongCode) => Err(Problem::WrongCode.into()),
        Err(LoginDenial::BadChallenge) => Err(Problem::BadChallenge.into()),
        // The account was disabled meanwhile.
        Err(_) => Err(Problem::BadCredentials.into()),
    }
}
