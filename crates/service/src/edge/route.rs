//! The first step of a request: its route and its token. Only the policy is needed.

use std::borrow::Cow;

use portcullis_core::bearer::bearer_token;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::path::CanonicalPath;
pub use portcullis_core::route::Refused;
use portcullis_core::route::{Access, Requirement};

/// A request with its route, before anything is read or verified.
#[derive(Clone, Debug)]
#[must_use]
pub struct RoutedRequest<'g, 't> {
    /// The path that was matched and is forwarded.
    pub path: CanonicalPath,
    /// The requirement of its route and of the routes of its twins.
    pub requirement: Cow<'g, Requirement>,
    /// The token to verify; `None` on an open route.
    pub token: Option<&'t str>,
}

/// Finds the route of a request and the token it presents. A token on an open route is ignored, because no identity
/// is forwarded there.
///
/// # Errors
///
/// The [`Denial`], with the requirement once the route is known.
pub fn route_request<'g, 't>(
    gate: &'g Gate,
    method: &str,
    raw_path: &str,
    authorization: Option<&'t str>,
) -> Result<RoutedRequest<'g, 't>, Refused<'g>> {
    let path = CanonicalPath::parse_target(raw_path).map_err(|denial| (denial, None))?;
    let requirement = gate.requirement(method, &path)?;
    let token = match requirement.access {
        Access::Open => None,
        Access::Token => match bearer_token(authorization) {
            Ok(Some(token)) => Some(token),
            Ok(None) => return Err((Denial::MissingToken, Some(requirement))),
            Err(denial) => return Err((denial, Some(requirement))),
        },
    };
    Ok(RoutedRequest {
        path,
        requirement,
        token,
    })
}
