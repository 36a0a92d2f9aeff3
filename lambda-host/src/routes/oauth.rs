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
use portcullis_core::json::{Json, Object};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::token::claims::Claims;
use portcullis_jwt::NativeVerifier;
use portcullis_service::authenticate::Authentication;
use portcullis_service::client_auth::ClientKind;
use portcullis_service::limit::LimitKey;
use portcullis_service::refresh::RefreshRequest;
use portcullis_service::revoke as by_token;
use utoipa::ToSchema;

use crate::api_error::{ApiError, InOAuth};
use crate::openapi::problems::{ANY, LIMITED, STORE, oauth_problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::oauth::client::{FormClient, identify};
use crate::routes::refresh::{Renewed, renew};
use crate::routes::refresh_cookie::{GrantBody, TokenDelivery, token_response};
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
    Problem::UnsupportedMediaType,
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
        /// The host rejects a client secret: the first-party client has none.
        #[schema(ignore)]
        client_secret: Optional,
        /// The host rejects a scope: the tokens of a session have none.
        #[schema(ignore)]
        scope: Optional,
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
        /// The host rejects a client secret: the first-party client has none.
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
#[derive(ToSchema)]
#[schema(as = Introspection)]
#[expect(dead_code, reason = "describes a response")]
struct IntrospectionBody {
    /// Whether the token is valid now; if not, there is no other member.
    active: bool,
    token_type: Option<String>,
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Vec<String>>,
    client_id: Option<String>,
    jti: Option<String>,
    sid: Option<String>,
    iat: Option<u64>,
    exp: Option<u64>,
    /// The time of the login.
    auth_time: Option<u64>,
    /// The authentication methods of the login (RFC 8176).
    #[schema(example = json!(["pwd", "otp"]))]
    amr: Option<Vec<String>>,
    scope: Option<String>,
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
    };
    match renew(&call, &request).await? {
        Renewed::Granted(grant, root_keys) => {
            Ok(token_response(&grant, TokenDelivery::Body, root_keys))
        }
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
        | Authentication::Refused(_) => Object::from_iter([("active", false)]),
    };
    Ok(json(StatusCode::OK, Json::Object(body).to_string()))
}

fn active(claims: &Claims) -> Object {
    let text = |text: &str| Json::Text(text.to_owned());
    let audience = claims.audience.iter().map(|audience| text(audience));
    let mut members = Object::from_iter([
        ("active", Json::Bool(true)),
        ("token_type", text("Bearer")),
        ("iss", text(&claims.issuer)),
        ("sub", text(&claims.subject)),
        ("aud", Json::Array(audience.collect())),
        ("client_id", text(&claims.client_id)),
        ("jti", text(&claims.token_id)),
        ("iat", claims.issued_at.as_secs().into()),
        ("exp", claims.expires_at.as_secs().into()),
    ]);
    if let Some(session_id) = &claims.session_id {
        members.insert("sid", session_id.as_str());
    }
    if let Some(moment) = claims.authenticated_at {
        members.insert("auth_time", moment.as_secs());
    }
    if !claims.methods.is_empty() {
        let methods = claims.methods.iter().map(|method| text(method));
        members.insert("amr", Json::Array(methods.collect()));
    }
    if !claims.scopes.is_empty() {
        members.insert("scope", claims.scopes.to_string());
    }
    members
}
