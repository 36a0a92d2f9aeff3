//! WebSocket handshakes ([RFC 6455 §4.2.1]): which requests may become a WebSocket, and the bearer
//! token that a browser brings as a subprotocol.
//!
//! A browser cannot set `Authorization` on a WebSocket. It can offer subprotocols, so a page offers
//! `portcullis.bearer.<token>` beside those that the origin speaks. All characters of a JWT are
//! allowed there ([RFC 9110 §5.6.2]).
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
//! [RFC 9110 §5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2

use crate::cors::Origin;
use crate::denial::Denial;
use crate::route::Requirement;

/// The close code of a WebSocket whose token has expired or was revoked: one of the codes for private
/// use ([RFC 6455 §7.4.2]), after HTTP 401.
///
/// [RFC 6455 §7.4.2]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2
pub const CLOSE_CODE: u16 = 4401;

/// The prefix of the subprotocol with the token.
const BEARER: &str = "portcullis.bearer.";

/// The headers of a request that decide whether it becomes a WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct UpgradeRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// The value of `Upgrade`.
    pub upgrade: Option<&'r str>,
    /// Whether the request has `Sec-WebSocket-Key`.
    pub has_key: bool,
    /// The value of `Origin`, which every browser sends.
    pub origin: Option<&'r str>,
    /// The URL of the request.
    pub url: &'r str,
}

impl UpgradeRequest<'_> {
    /// Whether the request is a WebSocket handshake that `requirement` allows; `false` if it is an
    /// ordinary request.
    ///
    /// # Errors
    ///
    /// [`Denial::UpgradeNotAllowed`] for another protocol, an incomplete handshake, or a route
    /// without WebSockets; [`Denial::ForeignOrigin`] for a page of another origin.
    pub fn check(&self, requirement: &Requirement) -> Result<bool, Denial> {
        let is_websocket = match (self.upgrade, self.has_key) {
            (None, false) => return Ok(false),
            (None, true) => false,
            (Some(protocol), _) => protocol.eq_ignore_ascii_case("websocket"),
        };
        // SECURITY: `h2c` would let later requests pass without a check (request smuggling).
        if !is_websocket || self.method != "GET" || !requirement.upgrade {
            return Err(Denial::UpgradeNotAllowed);
        }
        // SECURITY: CORS does not apply to WebSockets, and a browser sends its cookies with the
        // handshake of any page (cross-site WebSocket hijacking, RFC 6455 §10.2).
        let listed = |origin| {
            let rules = requirement.cors.as_ref();
            rules.is_some_and(|rules| rules.lists(origin))
                || Origin::of_url(self.url).is_some_and(|own| own.is(origin))
        };
        if self.origin.is_none_or(listed) {
            Ok(true)
        } else {
            Err(Denial::ForeignOrigin)
        }
    }
}

/// The token among the subprotocols `offered`; `None` if there is none.
///
/// # Errors
///
/// [`Denial::MalformedAuthorization`] if there are two tokens, or no other subprotocol: the origin
/// must select one, and never the token's.
pub fn bearer_subprotocol(offered: &str) -> Result<Option<&str>, Denial> {
    let mut token = None;
    let mut others = false;
    for name in names(offered) {
        if !is_bearer(name) {
            others |= !name.is_empty();
        } else if token
            .replace(name.get(BEARER.len()..).unwrap_or_default())
            .is_some()
        {
            return Err(Denial::MalformedAuthorization);
        }
    }
    match token {
        Some("") => Err(Denial::MalformedAuthorization),
        Some(_) if !others => Err(Denial::MalformedAuthorization),
        token => Ok(token),
    }
}

/// The subprotocols `offered` without tokens, which the origin must never see; empty if no other is
/// left.
pub fn without_bearer(offered: &str) -> String {
    let mut kept = String::new();
    for name in names(offered).filter(|name| !name.is_empty() && !is_bearer(name)) {
        if !kept.is_empty() {
            kept.push_str(", ");
        }
        kept.push_str(name);
    }
    kept
}

fn names(offered: &str) -> impl Iterator<Item = &str> {
    offered
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']))
}

// In any case, so that no spelling of a token passes.
fn is_bearer(name: &str) -> bool {
    let prefix = name.as_bytes().get(..BEARER.len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(BEARER.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::cors::{AllowedOrigins, CorsRules};
    use crate::route::Access;

    const HANDSHAKE: UpgradeRequest<'static> = UpgradeRequest {
        method: "GET",
        upgrade: Some("websocket"),
        has_key: true,
        origin: None,
        url: "https://edge.example/chat",
    };

    fn requirement(upgrade: bool, origins: Option<AllowedOrigins>) -> Requirement {
        let rules = |origins| {
            Arc::new(CorsRules {
                origins,
                ..CorsRules::for_no_page()
            })
        };
        Requirement {
            cors: origins.map(rules),
            upgrade,
            ..Requirement::new(Access::Token)
        }
    }

    #[test]
    fn an_upgrade_needs_a_route_that_allows_it() {
        let ordinary = UpgradeRequest {
            upgrade: None,
            has_key: false,
            ..HANDSHAKE
        };
        for allowed in [false, true] {
            assert_eq!(ordinary.check(&requirement(allowed, None)), Ok(false));
        }
        assert_eq!(HANDSHAKE.check(&requirement(true, None)), Ok(true));
        let refused = Err(Denial::UpgradeNotAllowed);
        assert_eq!(HANDSHAKE.check(&requirement(false, None)), refused);
    }

    #[test]
    fn request_smuggling_only_a_complete_websocket_handshake_is_an_upgrade() {
        for upgrade in ["h2c", "TLS/1.2", "", "websocket, h2c", "websocket/13", "*"] {
            let request = UpgradeRequest {
                upgrade: Some(upgrade),
                ..HANDSHAKE
            };
            let checked = request.check(&requirement(true, None));
            assert_eq!(checked, Err(Denial::UpgradeNotAllowed), "{upgrade}");
        }
        let refused = Err(Denial::UpgradeNotAllowed);
        let with_key_alone = UpgradeRequest {
            upgrade: None,
            ..HANDSHAKE
        };
        assert_eq!(with_key_alone.check(&requirement(true, None)), refused);
        for method in ["POST", "HEAD", "get"] {
            let request = UpgradeRequest {
                method,
                ..HANDSHAKE
            };
            assert_eq!(request.check(&requirement(true, None)), refused);
        }
        let upper = UpgradeRequest {
            upgrade: Some("WebSocket"),
            ..HANDSHAKE
        };
        assert_eq!(upper.check(&requirement(true, None)), Ok(true));
    }

    #[test]
    fn cross_site_websocket_hijacking_only_a_listed_or_the_own_origin_opens_a_websocket() {
        let app = Origin::parse("https://app.example").expect("an origin");
        let listed = AllowedOrigins::Listed {
            origins: vec![app],
            credentials: false,
        };
        for (rules, origin, allowed) in [
            (Some(listed.clone()), Some("https://app.example"), true),
            (Some(listed.clone()), Some("https://edge.example"), true),
            (Some(listed.clone()), None, true),
            (Some(listed.clone()), Some("https://evil.example"), false),
            (Some(listed.clone()), Some("null"), false),
            (Some(listed), Some("http://edge.example"), false),
            (
                Some(AllowedOrigins::Any),
                Some("https://app.example"),
                false,
            ),
            (
                Some(AllowedOrigins::Any),
                Some("https://edge.example"),
                true,
            ),
            (None, Some("https://app.example"), false),
            (None, Some("https://edge.example"), true),
            (None, Some("https://edge.example:8443"), false),
            (None, Some(""), false),
        ] {
            let request = UpgradeRequest {
                origin,
                ..HANDSHAKE
            };
            let expected = allowed.then_some(true).ok_or(Denial::ForeignOrigin);
            assert_eq!(
                request.check(&requirement(true, rules)),
                expected,
                "{origin:?}"
            );
        }
    }

    #[test]
    fn a_bearer_subprotocol_stands_beside_another_one() {
        for (offered, token) in [
            ("chat", None),
            ("", None),
            ("portcullis.bearer.a.b-_c, chat", Some("a.b-_c")),
            ("chat,portcullis.bearer.a.b.c", Some("a.b.c")),
            ("chat, PORTCULLIS.Bearer.a.b.c, other", Some("a.b.c")),
            ("chat, portcullis.bearer", None),
        ] {
            assert_eq!(bearer_subprotocol(offered), Ok(token), "{offered}");
        }
        for bad in [
            "portcullis.bearer.a.b.c",
            "portcullis.bearer.a.b.c,",
            "portcullis.bearer.a.b.c, portcullis.bearer.a.b.c, chat",
            "portcullis.bearer., chat",
            "portcullis.bearer., portcullis.bearer.a, chat",
        ] {
            let refused = Err(Denial::MalformedAuthorization);
            assert_eq!(bearer_subprotocol(bad), refused, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bearer_subprotocol_is_forwarded(offered in "(chat|v1|(?i:portcullis\\.bearer\\.)[a-z.]{0,4}|[ ,\t]){0,12}") {
            let kept = without_bearer(&offered);
            prop_assert!(!names(&kept).any(is_bearer), "{kept}");
            prop_assert_eq!(&without_bearer(&kept), &kept);
            let others = names(&offered).filter(|name| !name.is_empty() && !is_bearer(name));
            prop_assert_eq!(kept, others.collect::<Vec<_>>().join(", "));
        }
    }
}
