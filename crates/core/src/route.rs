//! Routes, which map a method and a path to a requirement.

mod pattern;
mod requirement;

use core::ptr;
use std::borrow::Cow;
use std::sync::Arc;

use crate::assertion::KEYS_PATH;
use crate::cors::{CorsRules, USUAL_METHODS as PREFLIGHT_METHODS};
use crate::denial::Denial;
use crate::path::CanonicalPath;
use crate::path::fold::{Folds, check_slashes, check_twins, fold, is_twin_of};

pub use self::pattern::RoutePattern;
pub use self::requirement::{Access, AnyOf, Requirement, RevocationMode};

/// A route of a policy.
#[derive(Clone, Debug)]
pub struct Route {
    /// The covered paths.
    pub pattern: RoutePattern,
    /// Whether the origin distinguishes the twins of its paths, so that only their own route counts.
    pub exact: bool,
    /// Whether its paths may have `%2F`.
    pub encoded_slash: bool,
    /// The requirement.
    pub requirement: Requirement,
    folds: Folds,
}

/// The routes of a policy. The most specific one wins, in any order: an exact path before a
/// subtree, a longer subtree before a shorter. Every route that a twin of the path reaches must
/// allow the request too.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    format_suffixes: Vec<String>,
    /// The folds that could change a pattern.
    folds: Folds,
    /// The CORS rules of requests without a route.
    cors: Option<Arc<CorsRules>>,
    /// Further paths that the edge answers itself.
    reserved: Vec<String>,
}

/// A request without a route that allows it, with a requirement for the response if one is known.
pub type Refused<'r> = (Denial, Option<Cow<'r, Requirement>>);

impl Route {
    /// A route with twins and without `%2F`.
    pub const fn new(pattern: RoutePattern, requirement: Requirement) -> Self {
        Self {
            pattern,
            exact: false,
            encoded_slash: false,
            requirement,
            folds: Folds::NONE,
        }
    }

    /// The length of its path after `folds`, if it then covers `path`.
    fn covers(&self, path: &str, folds: Folds, suffixes: &[String]) -> Option<usize> {
        let RoutePattern { path: own, subtree } = &self.pattern;
        let length_if_covered = |own: &str| {
            let rest = path.strip_prefix(own)?;
            let covered = rest.is_empty() || *subtree && rest.starts_with('/');
            covered.then_some(own.len())
        };
        if self.folds == Folds::NONE || folds == Folds::NONE {
            return length_if_covered(own);
        }
        let folds = if *subtree {
            folds.without_suffix()
        } else {
            folds
        };
        length_if_covered(&fold(own, folds, suffixes))
    }

    /// Whether any request has this route.
    pub fn is_reachable(&self) -> bool {
        let path = match self.pattern.path.as_str() {
            "" => "/",
            path => path,
        };
        let readable = if self.exact {
            check_slashes(path, self.encoded_slash)
        } else {
            check_twins(path, self.encoded_slash)
        };
        readable.is_ok() && (self.pattern.subtree || !is_twin_of(path, KEYS_PATH, &[]))
    }

    fn lists(&self, method: &str) -> bool {
        self.requirement.methods.iter().any(|own| own == method)
    }

    /// Whether both cover the same paths with a method in common.
    fn collides_with(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.requirement.methods, &other.requirement.methods);
        self.pattern == other.pattern
            && (ours.is_empty() || theirs.is_empty() || ours.iter().any(|own| other.lists(own)))
    }
}

impl Routes {
    /// No routes yet, of an origin that serves a path also with one of `format_suffixes`, such as
    /// `.json`.
    pub fn with_format_suffixes(format_suffixes: Vec<String>) -> Self {
        Self {
            format_suffixes,
            ..Self::default()
        }
    }

    /// Adds a route; `false` if a route with the same pattern shares a method with it.
    #[must_use]
    pub fn insert(&mut self, mut route: Route) -> bool {
        if self.routes.iter().any(|known| known.collides_with(&route)) {
            return false;
        }
        route.folds = Folds::of(&route.pattern.path, &self.format_suffixes);
        self.folds = self.folds.union(route.folds);
        let place = self
            .routes
            .partition_point(|known| known.pattern.rank() > route.pattern.rank());
        self.routes.insert(place, route);
        true
    }

    /// Keeps the paths `reserved` for the edge itself.
    pub fn reserve(&mut self, reserved: Vec<String>) {
        self.reserved = reserved;
    }

    /// Applies `cors` to the refusals of requests without a route.
    #[must_use]
    pub fn with_cors(self, cors: Option<Arc<CorsRules>>) -> Self {
        Self { cors, ..self }
    }

    /// Whether CORS rules apply to any request.
    pub fn have_cors(&self) -> bool {
        let routes = self.routes.iter().map(|route| &route.requirement.cors);
        self.cors.is_some() || routes.into_iter().any(Option::is_some)
    }

    /// The CORS rules for a request that was routed with the result `found`.
    pub fn cors_of<'r>(
        &'r self,
        found: &'r Result<Cow<'r, Requirement>, Refused<'r>>,
    ) -> Option<&'r Arc<CorsRules>> {
        match found {
            Ok(requirement) | Err((_, Some(requirement))) => requirement.cors.as_ref(),
            Err((_, None)) => self.cors.as_ref(),
        }
    }

    /// The methods that a page may use for `path`: those of the most specific path that covers it,
    /// which the routes of its twins allow too.
    pub fn methods_of(&self, path: &CanonicalPath) -> Vec<&str> {
        let own = self.most_specific(path.as_str(), Folds::NONE);
        let mut methods: Vec<&str> = if own.iter().any(|route| route.requirement.methods.is_empty())
        {
            PREFLIGHT_METHODS.to_vec()
        } else {
            let methods = own.iter().flat_map(|route| &route.requirement.methods);
            methods.map(String::as_str).collect()
        };
        methods.retain(|method| self.find(method, path).is_ok());
        methods
    }

    /// All routes, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The requirement for a request: that of the most specific route, and those of all routes that
    /// twins of the path reach. It costs one search where the path has no twins.
    ///
    /// # Errors
    ///
    /// [`Denial::UnknownRoute`] if no route covers the path, or a twin of it is [`KEYS_PATH`]; [`Denial::MethodNotAllowed`] if its
    /// most specific path, or that of a twin, does not list the method; [`Denial::BadPath`] if a
    /// twin is ambiguous, or the route allows no `%2F`.
    pub fn find(
        &self,
        method: &str,
        path: &CanonicalPath,
    ) -> Result<Cow<'_, Requirement>, Refused<'_>> {
        self.matching(method, path).map(|found| all_of(&found))
    }

    /// The routes with the requirements that [`Routes::find`] joins: those of the path first, then
    /// those that its twins reach.
    ///
    /// # Errors
    ///
    /// As [`Routes::find`].
    pub fn matching(&self, method: &str, path: &CanonicalPath) -> Result<Vec<&Route>, Refused<'_>> {
        let path = path.as_str();
        // SECURITY: the edge answers these paths itself. An origin that trusts the keys there, and a
        // client that trusts the metadata there, must never get them from a route.
        let reserved = self.reserved.iter().map(String::as_str).chain([KEYS_PATH]);
        if reserved
            .into_iter()
            .any(|own| is_twin_of(path, own, &self.format_suffixes))
        {
            return Err((Denial::UnknownRoute, None));
        }
        let bad_path = |denial| (denial, None);
        let own = self.most_specific(path, Folds::NONE);
        check_slashes(path, own.iter().any(|route| route.encoded_slash)).map_err(bad_path)?;
        if own.is_empty() {
            return Err((Denial::UnknownRoute, None));
        }
        let mut found = Vec::new();
        add_allowing(&own, method, &mut found)?;
        let encoded_slash = found.iter().all(|route| route.encoded_slash);
        if found.iter().all(|route| route.exact) {
            check_slashes(path, encoded_slash).map_err(bad_path)?;
            return Ok(found);
        }
        check_twins(path, encoded_slash).map_err(bad_path)?;
        let folds = Folds::of(path, &self.format_suffixes).union(self.folds);
        for folds in folds.subsets() {
            add_allowing(&self.most_specific(path, folds), method, &mut found)?;
        }
        Ok(found)
    }

    /// The routes with the most specific pattern that covers `path` after `folds`. Several patterns
    /// may have one folded form.
    // SECURITY: an origin may fold its patterns too, or compare them as they are written. The most
    // specific pattern of each reading counts.
    fn most_specific(&self, path: &str, folds: Folds) -> Vec<&Route> {
        let path = fold(path, folds, &self.format_suffixes);
        let mut all: Vec<&Route> = Vec::new();
        for of_pattern in folds.of_pattern() {
            for route in self.most_specific_of(&path, of_pattern) {
                if !all.iter().any(|known| ptr::eq(*known, route)) {
                    all.push(route);
                }
            }
        }
        all
    }

    /// The routes with the most specific pattern that covers `path` if the patterns have `folds`.
    fn most_specific_of(&self, path: &str, folds: Folds) -> Vec<&Route> {
        let mut best = (false, 0);
        let mut found = Vec::new();
        for route in &self.routes {
            let Some(length) = route.covers(path, folds, &self.format_suffixes) else {
                continue;
            };
            let rank = (!route.pattern.subtree, length);
            if found.is_empty() || rank > best {
                best = rank;
                found.clear();
            }
            if rank == best {
                found.push(route);
            }
        }
        found
    }
}

/// Adds the routes that list `method`. Each pattern must have one: a request never falls through to
/// a broader path. `HEAD` is `GET` too ([RFC 9110 §9.3.2]).
///
/// [RFC 9110 §9.3.2]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
fn add_allowing<'r>(
    routes: &[&'r Route],
    method: &str,
    found: &mut Vec<&'r Route>,
) -> Result<(), Refused<'r>> {
    let allows = |route: &Route| {
        !is_reflecting(method)
            && (route.requirement.methods.is_empty()
                || route.lists(method)
                || method == "HEAD" && route.lists("GET"))
    };
    for route in routes {
        let same = routes.iter().filter(|other| other.pattern == route.pattern);
        if !same.clone().any(|other| allows(other)) {
            let mut refused = route.requirement.clone();
            refused.methods.clear();
            for other in same {
                refused
                    .methods
                    .extend_from_slice(&other.requirement.methods);
            }
            let lists = |method: &str| refused.methods.iter().any(|own| own == method);
            if refused.methods.is_empty() {
                refused.methods.extend(USUAL_METHODS.map(str::to_owned));
            } else if lists("GET") && !lists("HEAD") {
                refused.methods.push("HEAD".to_owned());
            }
            return Err((Denial::MethodNotAllowed, Some(Cow::Owned(refused))));
        }
        if allows(route) && !found.iter().any(|known| ptr::eq(*known, *route)) {
            found.push(route);
        }
    }
    Ok(())
}

/// The methods in `Allow` of a path that allows all.
const USUAL_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Whether no route allows the method. SECURITY: an origin reflects a `TRACE` request with all its
/// headers ([RFC 9110 §9.3.8]), and the edge adds a secret to them. `TRACK` is the same, and
/// `CONNECT` opens a tunnel.
///
/// [RFC 9110 §9.3.8]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8
pub fn is_reflecting(method: &str) -> bool {
    let reflecting = ["TRACE", "TRACK", "CONNECT"];
    reflecting
        .iter()
        .any(|one| one.eq_ignore_ascii_case(method))
}

/// The requirements of all `routes` as one.
fn all_of<'r>(routes: &[&'r Route]) -> Cow<'r, Requirement> {
    match routes {
        [] => Cow::Owned(Requirement {
            // Not reached: a route was found.
            revocation: RevocationMode::Lookup,
            ..Requirement::new(Access::Token)
        }),
        [only] => Cow::Borrowed(&only.requirement),
        [first, others @ ..] => {
            let mut all = first.requirement.clone();
            for route in others {
                all.add(&route.requirement);
            }
            Cow::Owned(all)
        }
    }
}

#[cfg(test)]
mod twin_tests;

#[cfg(test)]
mod tests;
