//! CSRF protection: proof that one of our own pages sent a cookie, and not a foreign site.
//!
//! A browser adds a cookie to whatever is asked of its host. So the page repeats a code that it was
//! told with the cookie, in a header of its own: another site can neither read the code nor set
//! the header. The code is bound to the session, so that an attacker's own code is not accepted for another's
//! cookie.

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{MAC_BYTES, Purpose, RootKeys};

/// How a secret came: handed over on purpose, or added by a browser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenSource {
    /// In the body or a header: a foreign site cannot send it.
    Explicit,
    /// As a cookie.
    Cookie {
        /// Whether the browser says that a page of this very origin asks.
        same_origin: bool,
        /// The code that the page repeated, if it did.
        code: Option<String>,
    },
}

/// The code that a page repeats for the session `session_id`.
pub fn token(session_id: &Id, vault: &RootKeys) -> String {
    base64url::encode(&vault.mac(Purpose::CsrfToken, &[session_id.as_str().as_bytes()]))
}

impl TokenSource {
    /// Whether its secret, of the session `session_id`, was sent by one of our own pages.
    pub fn passes_csrf_check(&self, session_id: &Id, vault: &RootKeys) -> bool {
        match self {
            Self::Explicit => true,
            Self::Cookie { same_origin, code } => {
                let code = code.as_deref().and_then(base64url::decode);
                let parts = [session_id.as_str().as_bytes()];
                let known = code.is_some_and(|code| {
                    code.len() == MAC_BYTES && vault.verify_mac(Purpose::CsrfToken, &parts, &code)
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
    fn a_cookie_needs_the_code_of_its_session_and_a_page_of_its_origin() {
        let vault = RootKeys::document(&Secret::new([1; 32]));
        let vault = RootKeys::parse(vault.expose().as_bytes()).expect("a document");
        let [one, other] = [[1; 16], [2; 16]].map(Id::from_random);
        let cookie = |same_origin, code: Option<&str>| TokenSource::Cookie {
            same_origin,
            code: code.map(str::to_owned),
        };
        let good = token(&one, &vault);
        assert!(TokenSource::Explicit.passes_csrf_check(&one, &vault));
        assert!(cookie(true, Some(&good)).passes_csrf_check(&one, &vault));
        for bad in [
            cookie(false, Some(&good)),
            cookie(true, None),
            cookie(true, Some("")),
            cookie(true, Some("=")),
            cookie(true, good.get(..22)),
            cookie(true, Some(&token(&other, &vault))),
        ] {
            assert!(!bad.passes_csrf_check(&one, &vault), "{bad:?}");
        }
    }
}
