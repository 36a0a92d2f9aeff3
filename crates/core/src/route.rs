//! Routes, which map a path to its requirement.

use core::fmt;
use core::time::Duration;

use crate::path::CanonicalPath;

/// The requirement of a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    /// Whether a token is required.
    pub access: Access,
    /// The required scopes; the token needs all of them.
    pub scopes: Vec<String>,
    /// The maximum age of revocations at which this route still serves, if it is longer than the
    /// policy's hard bound.
    pub serve_stale: Option<Duration>,
    /// The revocation check.
    pub revocation: RevocationMode,
}

/// The revocation check of a route.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RevocationMode {
    /// By the feed in the snapshot, without a read for this request.
    #[default]
    Feed,
    /// By a lookup of the token's own rows for this request.
    Lookup,
}

/// The access rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Every client; no identity is forwarded.
    Open,
    /// Only a client with a valid token.
    Token,
}

/// A path, or a path and everything under it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoutePattern {
    path: String,
    subtree: bool,
}

/// The routes of a policy. The most specific one wins, in any order: an exact path before a
/// subtree, a longer subtree before a shorter.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<(RoutePattern, Requirement)>);

impl RoutePattern {
    /// Parses `/exact/path` or `/subtree/*`. `/admin/*` also covers `/admin`, so the root of a
    /// guarded subtree is guarded.
    ///
    /// `None` unless the path is canonical and has no other `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, subtree) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        let root = subtree && path.is_empty();
        let canonical = root || CanonicalPath::parse(path).is_ok_and(|read| read.as_str() == path);
        let open_end = subtree && path.ends_with('/');
        (canonical && !path.contains('*') && !open_end).then(|| Self {
            path: path.to_owned(),
            subtree,
        })
    }

    fn covers(&self, path: &str) -> bool {
        match path.strip_prefix(self.path.as_str()) {
            Some(rest) => rest.is_empty() || self.subtree && rest.starts_with('/'),
            None => false,
        }
    }

    /// Exact patterns first, then by length.
    fn rank(&self) -> (bool, usize) {
        (!self.subtree, self.path.len())
    }
}

/// The form that [`RoutePattern::parse`] accepts.
impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        f.write_str(if self.subtree { "/*" } else { "" })
    }
}

impl Routes {
    /// Adds a route; `false` if the same pattern exists already.
    #[must_use]
    pub fn insert(&mut self, pattern: RoutePattern, requirement: Requirement) -> bool {
        if self.0.iter().any(|(known, _)| *known == pattern) {
            return false;
        }
        let place = self
            .0
            .partition_point(|(known, _)| known.rank() > pattern.rank());
        self.0.insert(place, (pattern, requirement));
        true
    }

    /// All routes, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = (&RoutePattern, &Requirement)> {
        self.0
            .iter()
            .map(|(pattern, requirement)| (pattern, requirement))
    }

    /// The requirement for `path`, if a route covers it.
    pub fn find(&self, path: &CanonicalPath) -> Option<&Requirement> {
        let mut routes = self.0.iter();
        routes
            .find(|(pattern, _)| pattern.covers(path.as_str()))
            .map(|(_, requirement)| requirement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Routes {
        let mut routes = Routes::default();
        for pattern in patterns {
            let requirement = Requirement {
                access: Access::Token,
                scopes: vec![(*pattern).to_owned()],
                serve_stale: None,
                revocation: RevocationMode::Feed,
            };
            assert!(routes.insert(
                RoutePattern::parse(pattern).expect("a pattern"),
                requirement
            ));
        }
        routes
    }
    fn found(routes: &Routes, path: &str) -> Option<String> {
        let path = CanonicalPath::parse(path).expect("canonical");
        routes
            .find(&path)
            .map(|requirement| requirement.scopes.concat())
    }

    #[test]
    fn the_most_specific_route_wins_in_any_order() {
        let patterns = ["/*", "/admin/*", "/admin/health", "/admin/deep/*"];
        let reversed: Vec<_> = patterns.into_iter().rev().collect();
        for routes in [routes(&patterns), routes(&reversed)] {
            for (path, pattern) in [
                ("/", "/*"),
                ("/x", "/*"),
                ("/admin", "/admin/*"),
                ("/admin/", "/admin/*"),
                ("/admin/x", "/admin/*"),
                ("/administrator", "/*"),
                ("/admin/health", "/admin/health"),
                ("/admin/health/", "/admin/*"),
                ("/admin/deep/x/y", "/admin/deep/*"),
                ("/Admin", "/*"),
            ] {
                assert_eq!(found(&routes, path).as_deref(), Some(pattern), "{path}");
            }
        }
    }

    #[test]
    fn a_path_without_a_route_has_no_requirement() {
        assert_eq!(found(&routes(&["/a", "/b/*"]), "/c"), None);
        assert_eq!(found(&routes(&["/a"]), "/a/b"), None);
        assert_eq!(found(&routes(&["/"]), "/a"), None);
    }

    #[test]
    fn a_route_pattern_is_canonical_and_unique() {
        for bad in [
            "", "a", "*", "/a*", "/*/b", "/a/*/b", "/%61", "/a//*", "/a/../b", "//*", "/a/**",
        ] {
            assert_eq!(RoutePattern::parse(bad), None, "{bad}");
        }
        let mut routes = routes(&["/a/*"]);
        let again = Requirement {
            access: Access::Open,
            scopes: vec![],
            serve_stale: None,
            revocation: RevocationMode::Feed,
        };
        assert!(!routes.insert(RoutePattern::parse("/a/*").expect("a pattern"), again));
    }
}
