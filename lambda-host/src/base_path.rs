//! The path of the issuer, if the host is reached under one.

use std::borrow::Cow;

use http::Uri;

/// The metadata path of an issuer without a path ([RFC 8414 §3]).
///
/// [RFC 8414 §3]: https://www.rfc-editor.org/rfc/rfc8414#section-3
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// `/auth` of the issuer `https://api.example/auth`; empty without a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BasePath(String);

impl BasePath {
    /// The path of the URL `issuer`.
    pub(crate) fn of_issuer(issuer: &str) -> Self {
        let uri: Option<Uri> = issuer.parse().ok();
        let path = uri.as_ref().map_or("", Uri::path);
        Self(path.trim_end_matches('/').to_owned())
    }

    /// The path of an endpoint: `path` without the base path. A proxy that has removed it already
    /// changes nothing. The metadata of such an issuer has the base path at its end (RFC 8414 §3.1).
    pub(crate) fn strip<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(path);
        }
        if path.strip_prefix(METADATA) == Some(&self.0) {
            return Cow::Borrowed(METADATA);
        }
        let rest = path.strip_prefix(self.0.as_str());
        match rest {
            Some("") => Cow::Borrowed("/"),
            Some(rest) if rest.starts_with('/') => Cow::Borrowed(rest),
            Some(_) | None => Cow::Borrowed(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_issuer_is_stripped_once_and_as_whole_segments() {
        for issuer in ["https://api.example/auth", "https://api.example/auth/"] {
            let base = BasePath::of_issuer(issuer);
            for (path, endpoint) in [
                ("/auth/v1/login", "/v1/login"),
                ("/v1/login", "/v1/login"),
                ("/auth", "/"),
                ("/auth/", "/"),
                ("/auth/auth/v1/login", "/auth/v1/login"),
                ("/authv1/login", "/authv1/login"),
                ("/AUTH/v1/login", "/AUTH/v1/login"),
                ("/v1/auth", "/v1/auth"),
                (
                    "/auth/.well-known/openid-configuration",
                    "/.well-known/openid-configuration",
                ),
                ("/.well-known/oauth-authorization-server/auth", METADATA),
                ("/.well-known/oauth-authorization-server", METADATA),
            ] {
                assert_eq!(base.strip(path), endpoint, "{path}");
            }
        }
        for issuer in ["https://api.example", "https://api.example/"] {
            let base = BasePath::of_issuer(issuer);
            for path in ["/v1/login", "/", "/auth/v1/login"] {
                assert_eq!(base.strip(path), path);
            }
        }
    }
}
