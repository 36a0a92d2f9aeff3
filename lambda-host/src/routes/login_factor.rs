//! `POST /v1/login/factor`: the second step of a login.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use portcullis_core::audit::LoginDenial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::factor::{self, FactorLoginRequest};
use portcullis_service::limit::LimitKey;
use portcullis_service::ports::RequestMeta;
use utoipa::ToSchema;

use crate::host::Host;
use crate::limits;
use crate::openapi::problems::{ANY, BODY, LIMITED, STORE, problems};
use crate::problem::Problem;
use crate::routes::json_body::JsonBody;
use crate::routes::refresh_cookie::{GrantBody, TokenDelivery, token_response};
use crate::routes::{factors, login};

problems!(FactorLoginProblems: ANY, BODY, STORE, LIMITED, [
    Problem::BadCode, Problem::BadChallenge, Problem::WrongCode, Problem::FactorLocked,
]);

/// The challenge, and one of the codes.
#[derive(ToSchema)]
#[schema(as = FactorLogin)]
#[expect(dead_code, reason = "describes what is read")]
struct FactorLoginBody {
    /// What the login answered.
    #[schema(max_length = 1024)]
    challenge: String,
    /// What the device shows; not beside a recovery code.
    #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
    code: Option<String>,
    /// A code on paper.
    #[schema(max_length = 32)]
    recovery_code: Option<String>,
    /// Where the refresh token is to go, as at the login.
    #[schema(pattern = "^(body|cookie)$", example = "body")]
    transport: Option<String>,
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
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let device = login::device(request.headers());
    let mut members = JsonBody::read(request).await?;
    // SECURITY: the secrets first, so that whatever else is wrong, they are wiped.
    let challenge = members.secret("challenge");
    let proof = factors::proof(&mut members);
    let transport = TokenDelivery::take(&mut members);
    members.finish()?;
    let transport = transport?;
    let request = FactorLoginRequest {
        challenge: challenge?,
        proof: proof?,
        device,
    };
    let ready = host.signer(call.now, &call.request_id).await;
    let signer = host.track(ready)?;
    let store = host.store(call.now);
    let ctx = host.ctx(&store, &call).await?;
    // What is no challenge of ours names no account: it counts by where it comes from, and its
    // code is never looked at.
    let challenged = factor::challenged(&request, ctx);
    let counted = match &challenged {
        Some(account) => {
            let whose = LimitKey::Account(&account.user_id, account.generation);
            Some(
                host.acquire_refundable(LimitKind::FactorAccount, whose, ctx)
                    .await?,
            )
        }
        None => {
            host.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)], ctx)
                .await?;
            None
        }
    };
    let end = factor::login(&request, &*signer, ctx).await;
    match host.track(end)? {
        Ok(grant) => {
            let mut response = token_response(&grant, transport, ctx.vault);
            if let (Some(account), Some(place)) = (&challenged, &counted) {
                limits::refund(place, ctx).await;
                limits::remember_browser(response.headers_mut(), &account.email, ctx)?;
            }
            Ok(response)
        }
        Err(LoginDenial::WrongCode) => Err(Problem::WrongCode),
        Err(LoginDenial::BadChallenge) => Err(Problem::BadChallenge),
        // Closed while the code was asked for.
        Err(_) => Err(Problem::BadCredentials),
    }
}
