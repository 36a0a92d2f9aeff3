//! The caller and the request, as the edge proved them.

use portcullis_core::forwarding::decode_values;

/// The identity of an accepted request, in its extensions. An application must read the identity
/// from here alone, and from no header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EdgeIdentity {
    /// The subject of the token that the edge verified; `None` on an open route.
    pub subject: Option<String>,
    /// The issuer of that token.
    pub issuer: Option<String>,
    /// The scopes of that token.
    pub scopes: Vec<String>,
    /// The roles of that token. With the secret header they are those of the identity header `roles`, which the
    /// policy must set.
    pub roles: Vec<String>,
    /// The session of that token.
    pub session: Option<String>,
    /// The request ID.
    pub request_id: String,
    /// The public host of the request.
    pub host: String,
}

impl EdgeIdentity {
    /// The scopes in a `scope` value.
    pub(crate) fn scopes(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The roles in the value of the header; `None` if it is malformed.
    pub(crate) fn roles(text: &str) -> Option<Vec<String>> {
        let mut roles = decode_values(text)?;
        roles.retain(|role| !role.is_empty());
        Some(roles)
    }
}

// SECURITY: fails closed. Without the layer there is no identity, and the request is rejected.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for EdgeIdentity {
    type Rejection = http::Response<axum_core::body::Body>;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        let held = parts.extensions.get::<Self>().cloned();
        held.ok_or_else(crate::rejection::rejection)
    }
}
