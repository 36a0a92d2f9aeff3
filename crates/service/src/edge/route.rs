//! The first step of a request: its route and its token. Only the policy is needed.

use std::borrow::Cow;

use portcullis_core::bearer::bearer_token;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::path::CanonicalPath;
pub use portcullis_core::route::Refused;
use portcullis_core::route::{Access, Requirement};
use portcullis_core::upgrade::{UpgradeRequest, bearer_subprotocol};

/// A request with its route, before anything is read or verified.
#[derive(Clone, Debug)]
#[must_use]
pub struct RoutedRequest<'g, 't> {
    /// The path that was matched and is forwarded.
    pub path: CanonicalPath,
    /// The requirement of its route and of the routes of its twins.
    pub requirement: Cow<'g, Requirement>,
    /// The token to verify; `None` on a route that forwards no identity, or without a token where none is needed.
    pub token: Option<&'t str>,
}

/// The parts of a request that decide its route and its token.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'t> {
    /// The path as the client sent it.
    pub raw_path: &'t str,
    /// The value of `Authorization`.
    pub authorization: Option<&'t str>,
    /// The method, and the headers of a WebSocket handshake.
    pub upgrade: UpgradeRequest<'t>,
    /// The value of `Sec-WebSocket-Protocol`.
    pub subprotocols: Option<&'t str>,
}

/// Finds the route of a request and the token it presents. A token on an open route is ignored, unless the route
/// forwards the identity of a token.
///
/// # Errors
///
/// The [`Denial`], with the requirement once the route is known.
pub fn route_request<'g, 't>(
    gate: &'g Gate,
    method: &'t str,
    raw_path: &'t str,
    authorization: Option<&'t str>,
) -> Result<RoutedRequest<'g, 't>, Refused<'g>> {
    let upgrade = UpgradeRequest {
        method,
        upgrade: None,
        has_key: false,
        origin: None,
        url: "",
    };
    let head = RequestHead {
        raw_path,
        authorization,
        upgrade,
        subprotocols: None,
    };
    route_head(gate, &head)
}

/// As [`route_request`], for a request that may be a WebSocket handshake. Its token may also be a subprotocol.
///
/// # Errors
///
/// As [`route_request`]; [`Denial::MalformedAuthorization`] also for two tokens (RFC 6750 §2).
pub fn route_head<'g, 't>(
    gate: &'g Gate,
    head: &RequestHead<'t>,
) -> Result<RoutedRequest<'g, 't>, Refused<'g>> {
    let path = CanonicalPath::parse_target(head.raw_path).map_err(|denial| (denial, None))?;
    let requirement = gate.requirement(head.upgrade.method, &path)?;
    let is_websocket = match head.upgrade.check(&requirement) {
        Ok(is_websocket) => is_websocket,
        Err(denial) => return Err((denial, Some(requirement))),
    };
    let subprotocols = head.subprotocols.filter(|_| is_websocket);
    let token = match requirement.access {
        Access::Open => None,
        // Without a readable token the request has no identity.
        Access::Optional => token_of(head.authorization, subprotocols).unwrap_or_default(),
        Access::Token => match token_of(head.authorization, subprotocols) {
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

fn token_of<'t>(
    authorization: Option<&'t str>,
    subprotocols: Option<&'t str>,
) -> Result<Option<&'t str>, Denial> {
    let token = bearer_token(authorization)?;
    let offered = subprotocols.map_or(Ok(None), bearer_subprotocol)?;
    if token.is_some() && offered.is_some() {
        return Err(Denial::MalformedAuthorization);
    }
    Ok(token.or(offered))
}

#[cfg(test)]
mod tests {
    use portcullis_core::policy::Policy;

    use super::*;

    const POLICY: &str = r#"{
        "issuers": [{"issuer": "https://us", "audience": "api", "algorithms": ["EdDSA"],
                     "keys": "document", "profile": "at+jwt"}],
        "routes": [{"path": "/chat", "access": "token", "upgrade": true},
                   {"path": "/open", "access": "open", "upgrade": true},
                   {"path": "/*", "access": "token"}]
    }"#;

    const OFFERED: &str = "portcullis.bearer.a.b.c, chat";

    fn ask(
        raw_path: &str,
        upgrade: Option<&str>,
        authorization: Option<&str>,
        subprotocols: Option<&str>,
    ) -> Result<Option<String>, Denial> {
        let gate = Gate::new(Policy::parse(POLICY, None).expect("a policy"));
        let head = RequestHead {
            raw_path,
            authorization,
            upgrade: UpgradeRequest {
                method: "GET",
                upgrade,
                has_key: upgrade.is_some(),
                origin: None,
                url: "https://edge.example/",
            },
            subprotocols,
        };
        let routed = route_head(&gate, &head).map_err(|(denial, _)| denial)?;
        Ok(routed.token.map(str::to_owned))
    }

    #[test]
    fn a_token_may_be_a_subprotocol_of_a_websocket_only() {
        let websocket = Some("websocket");
        let token = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(ask("/chat", websocket, None, Some(OFFERED)), token("a.b.c"));
        assert_eq!(
            ask("/chat", websocket, Some("Bearer d"), Some("chat")),
            token("d")
        );
        assert_eq!(ask("/open", websocket, None, Some(OFFERED)), Ok(None));
        let missing = Err(Denial::MissingToken);
        assert_eq!(ask("/chat", None, None, Some(OFFERED)), missing);
        assert_eq!(ask("/a", None, None, Some(OFFERED)), missing);
        assert_eq!(ask("/chat", websocket, None, Some("chat")), missing);
        assert_eq!(ask("/chat", websocket, None, None), missing);
    }

    #[test]
    fn two_tokens_or_a_token_without_a_subprotocol_are_malformed() {
        let malformed = Err(Denial::MalformedAuthorization);
        let websocket = Some("websocket");
        let alone = Some("portcullis.bearer.a.b.c");
        assert_eq!(ask("/chat", websocket, None, alone), malformed);
        assert_eq!(
            ask("/chat", websocket, Some("Bearer d"), Some(OFFERED)),
            malformed
        );
    }

    #[test]
    fn an_upgrade_is_refused_before_its_token_is_read() {
        let refused = Err(Denial::UpgradeNotAllowed);
        for authorization in [None, Some("Bearer d"), Some("Basic d")] {
            assert_eq!(ask("/a", Some("websocket"), authorization, None), refused);
            assert_eq!(ask("/chat", Some("h2c"), authorization, None), refused);
        }
    }
}
