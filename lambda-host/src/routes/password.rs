//! `POST /v1/password/change`: a new password, and every other session of the account ends.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::change_password::{
    self, ChangePasswordOutcome, ChangePasswordRequest, Tools,
};
use portcullis_service::limit::LimitKey;
use portcullis_service::ports::RequestMeta;
use utoipa::ToSchema;

use crate::clock::RequestClock;
use crate::host::Host;
use crate::limits;
use crate::openapi::problems::{ANY, BODY, LIMITED, NEW_PASSWORD, STORE, TOKEN, problems};
use crate::problem::Problem;
use crate::routes::json_body::JsonBody;
use crate::routes::{caller, json, login};

problems!(ChangeProblems: ANY, BODY, NEW_PASSWORD, STORE, LIMITED, TOKEN, [
    Problem::NoSession, Problem::WrongPassword, Problem::AccountChanged, Problem::Busy,
    Problem::BreachCheckUnavailable, Problem::RevocationPending,
]);

/// The password as it is and as it is to be.
#[derive(ToSchema)]
#[schema(as = PasswordChange)]
#[expect(dead_code, reason = "describes what is read")]
struct ChangeBody {
    /// The account's password.
    #[schema(max_length = 256, example = "correct horse battery")]
    current_password: String,
    /// What it is to be: 15 characters at least, 8 beside a second factor.
    #[schema(
        min_length = 8,
        max_length = 256,
        example = "gravel otter lampshade quince"
    )]
    new_password: String,
}

/// Changes the password. Every other session is over once this answers; the session of the caller
/// stays, with the access token of the answer and the refresh token that it has.
#[utoipa::path(
    post,
    path = "/v1/password/change",
    tag = "passwords",
    security(("bearer" = [])),
    request_body = ChangeBody,
    responses((status = 200, description = "Changed", body = login::AccessTokenBody), ChangeProblems)
)]
pub(super) async fn change(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let caller = caller::known(&host, &call, request.headers()).await?;
    let mut members = JsonBody::read(request).await?;
    // SECURITY: both secrets first, so that whatever else is wrong, they are wiped.
    let current = members.password("current_password");
    let new = members.password("new_password");
    members.finish()?;
    let request = ChangePasswordRequest {
        user_id: caller::user_id(&caller)?,
        session: caller::session(&caller)?,
        methods: caller::methods(&caller),
        current: current?,
        new: new?,
    };
    let ready = host.signer(call.now, &call.request_id).await;
    let signer = host.track(ready)?;
    let store = host.store(call.now);
    let ctx = host.ctx(&store, &call).await?;
    let whose = LimitKey::Account(&request.user_id, 0);
    let place = host
        .acquire_refundable(LimitKind::PasswordAccount, whose, ctx)
        .await?;
    let clock = RequestClock::new(host.clock.as_ref(), call.now);
    let tools = Tools {
        hasher: &host.hasher.with(ctx.vault),
        screen: &host.screen,
        signer: &*signer,
        clock: &clock,
    };
    let end = change_password::change_password(&request, &tools, ctx).await;
    let outcome = host.track(end)?;
    // A clock that failed meanwhile did not tell how long the writing took.
    clock.ensure_readable()?;
    match outcome {
        ChangePasswordOutcome::Changed(access) => {
            limits::refund(&place, ctx).await;
            Ok(json(StatusCode::OK, login::access_token(&access)))
        }
        ChangePasswordOutcome::WrongPassword => Err(Problem::WrongPassword),
        ChangePasswordOutcome::PasswordRejected(unfit) => Err(Problem::UnfitPassword(unfit)),
        ChangePasswordOutcome::Conflict => Err(Problem::AccountChanged),
    }
}
