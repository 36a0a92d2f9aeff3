//! `GET /v1/me` and `/oauth2/userinfo`: the account of the bearer, as it is now.

use std::collections::BTreeMap;

use axum::response::Response;
use http::StatusCode;
use portcullis_core::denial::Denial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::limit::LimitKey;
use portcullis_service::me;
use portcullis_service::store::Account;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::Problem;
use crate::routes::api_call::ApiCall;
use crate::routes::response::json;

problems!(MeProblems: ANY, STORE, LIMITED, TOKEN);

/// Custom claims, each with its value as the token has it: no number changes its form.
type CustomClaims = BTreeMap<String, Box<RawValue>>;

/// The account of the bearer.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
struct MeBody {
    /// The user ID (`sub`).
    #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw")]
    id: String,
    /// The address as it was registered.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Whether the owner has proved the address.
    email_verified: bool,
    /// The scopes of the next access token.
    scopes: Vec<String>,
    /// The roles of the next access token.
    roles: Vec<String>,
    /// The custom claims of the next access token.
    #[schema(value_type = Object)]
    claims: CustomClaims,
}

/// The claims about the bearer (OpenID Connect Core 1.0 §5.3), with the custom claims beside them.
#[derive(Serialize, ToSchema)]
#[schema(as = UserInfo)]
struct UserInfoBody {
    /// The user ID.
    #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw")]
    sub: String,
    /// The address as it was registered.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Whether the owner has proved the address.
    email_verified: bool,
    /// The scopes, separated by spaces.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    claims: CustomClaims,
}

/// The account of the bearer.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "accounts",
    security(("bearer" = [])),
    responses((status = 200, description = "The account", body = MeBody), MeProblems)
)]
pub(super) async fn me(call: ApiCall) -> Result<Response, ApiError> {
    let account = account(&call).await?;
    let body = MeBody {
        id: account.user_id.to_string(),
        email: account.email.as_typed().to_owned(),
        email_verified: account.verified_at.is_some(),
        scopes: account.claims.scopes.iter().map(str::to_owned).collect(),
        roles: roles(&account),
        claims: custom_claims(&account)?,
    };
    Ok(json(StatusCode::OK, &body))
}

/// The claims about the bearer, for OpenID Connect clients.
#[utoipa::path(
    get,
    path = "/oauth2/userinfo",
    tag = "oauth",
    security(("bearer" = [])),
    responses((status = 200, description = "The claims", body = UserInfoBody), MeProblems)
)]
pub(super) async fn user_info(call: ApiCall) -> Result<Response, ApiError> {
    let account = account(&call).await?;
    let scope = account.claims.scopes.to_string();
    let body = UserInfoBody {
        sub: account.user_id.to_string(),
        email: account.email.as_typed().to_owned(),
        email_verified: account.verified_at.is_some(),
        scope: (!scope.is_empty()).then_some(scope),
        roles: roles(&account),
        claims: custom_claims(&account)?,
    };
    Ok(json(StatusCode::OK, &body))
}

/// The same for `POST` (OpenID Connect Core 1.0 §5.3.1). The token is in `Authorization`: the body is
/// not read.
#[utoipa::path(
    post,
    path = "/oauth2/userinfo",
    tag = "oauth",
    security(("bearer" = [])),
    responses((status = 200, description = "The claims", body = UserInfoBody), MeProblems)
)]
pub(super) async fn post_user_info(call: ApiCall) -> Result<Response, ApiError> {
    user_info(call).await
}

async fn account(call: &ApiCall) -> Result<Account, ApiError> {
    let caller = call.bearer().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let account = open.run(me::account_of(&caller, ctx)).await?;
    // The account was disabled or deleted after the token was issued.
    account.ok_or_else(|| Problem::Denied(Denial::Revoked).into())
}

fn roles(account: &Account) -> Vec<String> {
    account.claims.roles.iter().map(str::to_owned).collect()
}

fn custom_claims(account: &Account) -> Result<CustomClaims, ApiError> {
    let claims = account.claims.custom.to_string();
    // Both parsers read what the strict one has written.
    serde_json::from_str(&claims).map_err(|_error| Problem::Internal.into())
}
