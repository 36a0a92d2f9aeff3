//! CSRF protection: proof that a page of this origin sent the cookie.
//!
//! A browser adds a cookie to every request to its host. So the page sends a CSRF token, received
//! with the cookie, in a header of its own: another site can neither read the token nor set the
//! header. The token is bound to the session, so an attacker's own token is invalid for another
//! session's cookie.

use crate::base64url;
use crate::id::Id;
use crate::refresh::Delivery;
use crate::root_keys::{MAC_BYTES, Purpose, RootKeys};

/// The header in which a page sends the CSRF token.
pub const CSRF_HEADER: &str = "x-portcullis-csrf";

/// The source of a secret: sent explicitly, or added by a browser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenSource {
    /// In the body or a header: the sender holds the secret.
    Explicit,
    /// As a cookie.
    Cookie {
        /// Whether the browser reports a same-origin request.
        same_origin: bool,
        /// The CSRF token of the request, if present.
        code: Option<String>,
    },
}

/// The CSRF token of the session `session_id`.
pub fn token(session_id: &Id, root_keys: &RootKeys) -> String {
    base64url::encode(&root_keys.mac(Purpose::CsrfToken, &[session_id.as_str().as_bytes()]))
}

impl TokenSource {
    /// The delivery of a refresh token that comes this way.
    pub const fn delivery(&self) -> Delivery {
        match self {
            Self::Explicit => Delivery::Body,
            Self::Cookie { .. } => Delivery::Cookie,
        }
    }

    /// Whether a request may end the session `session_id`: the CSRF token or a same-origin request
    /// suffices, because a page may have lost its CSRF token and ending a session gives no access.
    pub fn may_log_out(&self, session_id: &Id, root_keys: &RootKeys) -> bool {
        match self {
            Self::Cookie {
                same_origin: true, ..
            } => true,
            Self::Cookie { code, .. } => {
                let source = Self::Cookie {
                    same_origin: true,
                    code: code.clone(),
                };
                source.passes_csrf_check(session_id, root_keys)
            }
            Self::Explicit => true,
        }
    }

    /// Whether a request with a secret of the session `session_id` passes the CSRF check.
    pub fn passes_csrf_check(&self, session_id: &Id, root_keys: &RootKeys) -> bool {
        match self {
            Self::Explicit => true,
            Self::Cookie { same_origin, code } => {
                let code = code.as_deref().and_then(base64url::decode);
                let parts = [session_id.as_str().as_bytes()];
                let known = code.is_some_and(|code| {
                    code.len() == MAC_BYTES
                        && root_keys.verify_mac(Purpose::CsrfToken, &parts, &code)
                });
                *same_origin && known
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_cookie_needs_the_csrf_token_of_its_session_and_a_same_origin_request() {
        let root_keys = RootKeys::document(&Secret::new([1; 32]));
        let root_keys = RootKeys::parse(root_keys.expose().as_bytes()).expect("a document");
        let [one, other] = [[1; 16], [2; 16]].map(Id::from_random);
        let cookie = |same_origin, code: Option<&str>| TokenSource::Cookie {
            same_origin,
            code: code.map(str::to_owned),
        };
        let good = token(&one, &root_keys);
        assert!(TokenSource::Explicit.passes_csrf_check(&one, &root_keys));
        assert!(cookie(true, Some(&good)).passes_csrf_check(&one, &root_keys));
        for bad in [
            cookie(false, Some(&good)),
            cookie(true, None),
            cookie(true, Some("")),
            cookie(true, Some("=")),
            cookie(true, good.get(..22)),
            cookie(true, Some(&token(&other, &root_keys))),
        ] {
            assert!(!bad.passes_csrf_check(&one, &root_keys), "{bad:?}");
        }
        assert!(TokenSource::Explicit.may_log_out(&one, &root_keys));
        for enough in [cookie(true, None), cookie(false, Some(&good))] {
            assert!(enough.may_log_out(&one, &root_keys), "{enough:?}");
        }
        for bad in [
            cookie(false, None),
            cookie(false, Some("")),
            cookie(false, Some(&token(&other, &root_keys))),
        ] {
            assert!(!bad.may_log_out(&one, &root_keys), "{bad:?}");
        }
    }
}
