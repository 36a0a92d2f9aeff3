//! The standard endpoints: token ([RFC 6749 §6]), revocation ([RFC 7009]) and introspection
//! ([RFC 7662]).
//!
//! [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

mod client;
mod form;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use portcullis_core::csrf::TokenSource;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_jwt::NativeVerifier;
use portcullis_service::authenticate::Authentication;
use portcullis_service::client_auth::ClientKind;
use portcullis_service::limit::LimitKey;
use portcullis_service::refresh::RefreshRequest;
use portcullis_service::revoke as by_token;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::{ApiError, InOAuth};
use crate::openapi::problems::{ANY, LIMITED, STORE, oauth_problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::oauth::client::{FormClient, identify};
use crate::routes::refresh::{Renewed, renew};
use crate::routes::refresh_cookie::{GrantBody, token_response};
use crate::routes::request_body::{Optional, Required, request_body};
use crate::routes::response::{empty, json};

/// An error in OAuth terms.
pub(super) struct OAuthError(ApiError);

impl<P: Into<ApiError>> From<P> for OAuthError {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(InOAuth);
        response
    }
}

/// Problems of the form and of the client.
const FORM: [Problem; 6] = [
    Problem::UnsupportedMediaType("application/x-www-form-urlencoded"),
    Problem::BodyTooLarge,
    Problem::BodyTimeout,
    Problem::MissingMember("token"),
    Problem::Token(TokenProblem::MalformedForm),
    Problem::Token(TokenProblem::BadClient),
];

oauth_problems!(
    TokenProblems: ANY, STORE, LIMITED, FORM,
    [
        Problem::Token(TokenProblem::ClientNotAllowed),
        Problem::Token(TokenProblem::UnsupportedGrantType),
        Problem::Token(TokenProblem::BadScope),
        Problem::Token(TokenProblem::InvalidTarget),
        Problem::Token(TokenProblem::BadRefreshToken),
        Problem::Token(TokenProblem::SessionOver),
        Problem::Token(TokenProblem::Reused),
        Problem::Token(TokenProblem::Conflict),
        Problem::RevocationPending,
    ]
);
oauth_problems!(
    RevokeProblems: ANY, STORE, LIMITED, FORM,
    [Problem::Token(TokenProblem::ClientNotAllowed), Problem::RevocationPending]
);
oauth_problems!(
    IntrospectProblems: ANY, STORE, LIMITED, FORM,
    [Problem::Token(TokenProblem::ClientNotAllowed)]
);

request_body! {
    /// A refresh request.
    #[schema(as = TokenRequest)]
    struct TokenForm {
        /// The only supported grant.
        #[schema(pattern = "^refresh_token$", example = "refresh_token")]
        grant_type: Required,
        /// The refresh token.
        #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw.1.CQkJCQkJ.CwsLCwsL")]
        refresh_token: Required,
        /// The first-party client.
        #[schema(example = "portcullis")]
        client_id: Required,
        /// Only a confidential client has one, and this endpoint rejects it.
        #[schema(ignore)]
        client_secret: Optional,
        /// The tokens of a session have no scope, so this endpoint rejects it.
        #[schema(ignore)]
        scope: Optional,
        /// The audience of the access token (RFC 8707); the default one without it.
        #[schema(max_length = 512, example = "https://api.example")]
        resource: Optional,
    }
}

request_body! {
    /// A token to revoke.
    #[schema(as = RevocationRequest)]
    struct RevokeForm {
        /// An access token or a refresh token.
        token: Required,
        /// The first-party client.
        #[schema(example = "portcullis")]
        client_id: Required,
        /// Only a confidential client has one, and this endpoint rejects it.
        #[schema(ignore)]
        client_secret: Optional,
    }
}

request_body! {
    /// A token to introspect.
    #[schema(as = IntrospectionRequest)]
    struct IntrospectForm {
        /// An access token.
        token: Required,
        /// The resource server, unless it uses HTTP Basic.
        client_id: Optional,
        /// Its secret, unless it uses HTTP Basic.
        client_secret: Optional,
    }
}

/// The state of a token ([RFC 7662 §2.2]).
///
/// [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
struct IntrospectionBody {
    /// Whether the token is valid now; if not, there is no other member.
    active: bool,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Vec<String>>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// The time of the login.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    /// The authentication methods of the login (RFC 8176).
    #[schema(nullable = false, example = json!(["pwd", "otp"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
}

/// Renews the tokens of a session (RFC 6749 §6).
#[utoipa::path(
    post,
    path = "/oauth2/token",
    tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "New tokens", body = GrantBody), TokenProblems)
)]
pub(super) async fn token(call: ApiCall, request: Request<Body>) -> Result<Response, OAuthError> {
    let form: TokenForm = form::read(request).await?;
    let client = FormClient {
        id: form.client_id.text().ok(),
        secret: form.client_secret.text()?,
    };
    let client = identify(&call, client).await?;
    if form.grant_type.text()?.expose() != "refresh_token" {
        return Err(Problem::Token(TokenProblem::UnsupportedGrantType).into());
    }
    // The tokens of a session belong to the first-party client (RFC 6749 §6: bound to the client
    // they were issued to).
    if client != ClientKind::FirstParty {
        return Err(Problem::Token(TokenProblem::ClientNotAllowed).into());
    }
    if form.scope.text()?.is_some() {
        return Err(Problem::Token(TokenProblem::BadScope).into());
    }
    let request = RefreshRequest {
        token: form.refresh_token.text()?,
        carrier: TokenSource::Explicit,
        audience: call.audience(form.resource)?,
    };
    match renew(&call, &request).await? {
        Renewed::Granted(grant, root_keys) => Ok(token_response(&grant, root_keys)),
        Renewed::Refused(problem) => Err(Problem::Token(problem).into()),
    }
}

/// Revokes a token (RFC 7009). The token's form shows its kind, so hints are ignored.
#[utoipa::path(
    post,
    path = "/oauth2/revoke",
    tag = "oauth",
    request_body(content = RevokeForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is revoked"), RevokeProblems)
)]
pub(super) async fn revoke(call: ApiCall, request: Request<Body>) -> Result<Response, OAuthError> {
    let form: RevokeForm = form::read(request).await?;
    let client = FormClient {
        id: form.client_id.text().ok(),
        secret: form.client_secret.text()?,
    };
    if identify(&call, client).await? != ClientKind::FirstParty {
        return Err(Problem::Token(TokenProblem::ClientNotAllowed).into());
    }
    let token = form.token.text()?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    open.run(by_token::revoke(
        &token,
        &call.host().gate,
        &NativeVerifier,
        open.clock(),
        ctx,
    ))
    .await?;
    Ok(empty(StatusCode::OK))
}

/// Tells a resource server whether an access token is valid (RFC 7662).
// SECURITY: a refresh token is reported as inactive: a resource server that asks about one would
// take it for an access token.
#[utoipa::path(
    post,
    path = "/oauth2/introspect",
    tag = "oauth",
    security(("basic" = [])),
    request_body(content = IntrospectForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The state of the token", body = IntrospectionBody),
        IntrospectProblems
    )
)]
pub(super) async fn introspect(
    call: ApiCall,
    request: Request<Body>,
) -> Result<Response, OAuthError> {
    let form: IntrospectForm = form::read(request).await?;
    let client = FormClient {
        id: form.client_id.text()?,
        secret: form.client_secret.text()?,
    };
    if identify(&call, client).await? != ClientKind::Confidential {
        return Err(Problem::Token(TokenProblem::ClientNotAllowed).into());
    }
    let token = form.token.text()?;
    let body = match call.authenticate_token(&token).await? {
        Authentication::Known(caller) => active(caller.get()),
        Authentication::Revoked(_)
        | Authentication::SubjectRevoked(_)
        | Authentication::Refused(_) => IntrospectionBody::default(),
    };
    Ok(json(StatusCode::OK, &body))
}

fn active(claims: &Claims) -> IntrospectionBody {
    let scopes = claims.scopes.to_string();
    IntrospectionBody {
        active: true,
        token_type: Some("Bearer"),
        iss: Some(claims.issuer.clone()),
        sub: Some(claims.subject.clone()),
        aud: Some(claims.audience.clone()),
        client_id: Some(claims.client_id.clone()),
        jti: Some(claims.token_id.clone()),
        sid: claims.session_id.clone(),
        iat: Some(claims.issued_at.as_secs()),
        exp: Some(claims.expires_at.as_secs()),
        auth_time: claims.authenticated_at.map(UnixTime::as_secs),
        amr: Some(claims.methods.clone()).filter(|methods| !methods.is_empty()),
        scope: Some(scopes).filter(|scopes| !scopes.is_empty()),
        roles: claims.roles.iter().map(str::to_owned).collect(),
    }
}
