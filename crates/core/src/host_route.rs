//! The paths that an edge sends to the auth host, so that app, login and API have one origin.
//!
//! They are those of the issuer: everything under the path of its URL, and its metadata
//! ([RFC 8414 §3.1]). The host does not depend on the policy: it authenticates its callers itself.
//!
//! [RFC 8414 §3.1]: https://www.rfc-editor.org/rfc/rfc8414#section-3.1

use crate::path::CanonicalPath;

/// The metadata path of an issuer without a path.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// The paths of an issuer with a path, such as `https://app.example/auth`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRoute {
    base: String,
}

impl HostRoute {
    /// The paths of the issuer with the path `base`; `None` unless that is a canonical path below `/`,
    /// without a slash at its end.
    pub fn new(base: &str) -> Option<Self> {
        let canonical = CanonicalPath::parse(base).is_ok_and(|path| path.as_str() == base);
        let below_root = base.len() > 1 && !base.ends_with('/');
        let reserved = base == "/.well-known" || base.starts_with("/.well-known/");
        (canonical && below_root && !reserved).then(|| Self {
            base: base.to_owned(),
        })
    }

    /// The canonical form of the path `raw`, if it is one of the issuer. A path without a canonical
    /// form, and a twin of a path, has the policy's routes.
    pub fn covers(&self, raw: &str) -> Option<CanonicalPath> {
        let path = CanonicalPath::parse(raw).ok()?;
        let under = |start: &str| path.as_str().strip_prefix(start);
        let own = under(&self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (own || under(METADATA) == Some(self.base.as_str())).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auth() -> HostRoute {
        HostRoute::new("/auth").expect("a path")
    }

    #[test]
    fn the_paths_of_the_issuer_are_its_subtree_and_its_metadata() {
        for (raw, path) in [
            ("/auth", "/auth"),
            ("/auth/", "/auth/"),
            ("/auth/v1/login", "/auth/v1/login"),
            ("/%61uth/v1/login", "/auth/v1/login"),
            (
                "/.well-known/oauth-authorization-server/auth",
                "/.well-known/oauth-authorization-server/auth",
            ),
        ] {
            let covered = auth().covers(raw).map(|path| path.to_string());
            assert_eq!(covered.as_deref(), Some(path), "{raw}");
        }
        for raw in [
            "/",
            "/authv1/login",
            "/AUTH/v1/login",
            "/auth%2Fv1/login",
            "/auth/..%2Fadmin",
            "/auth//v1",
            "/auth/v1;x",
            "/auth\\v1",
            "/x/auth",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/auth/",
            "/.well-known/oauth-authorization-server/authx",
            "/.well-known/openid-configuration",
        ] {
            assert_eq!(auth().covers(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_issuer_needs_a_canonical_path_of_its_own() {
        assert!(HostRoute::new("/a/b-c").is_some());
        for bad in [
            "",
            "/",
            "/auth/",
            "auth",
            "/%61uth",
            "//auth",
            "/a b",
            "/auth?x",
            "/.well-known",
            "/.well-known/auth",
            "/..",
            "/a%2Fb",
        ] {
            assert_eq!(HostRoute::new(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_path_outside_the_subtree_reaches_the_host(raw in "/?(auth|Auth|%61uth|\\.\\.|\\.|%2e|%2F|/|x){0,6}") {
            if let Some(path) = auth().covers(&raw) {
                prop_assert!(path.as_str() == "/auth" || path.as_str().starts_with("/auth/"));
                prop_assert!(path.as_str().split('/').all(|segment| segment != ".."));
            }
        }
    }
}
