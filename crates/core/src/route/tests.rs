//! Routes without twins: the most specific one counts.

use super::*;

fn routes(patterns: &[&str]) -> Routes {
    let mut routes = Routes::default();
    for pattern in patterns {
        let requirement = Requirement {
            scopes: vec![(*pattern).to_owned()],
            ..Requirement::new(Access::Token)
        };
        let pattern = RoutePattern::parse(pattern).expect("a pattern");
        assert!(routes.insert(Route::new(pattern, requirement)));
    }
    routes
}
fn found(routes: &Routes, path: &str) -> Option<String> {
    let path = CanonicalPath::parse(path).expect("canonical");
    let found = routes.find("GET", &path).ok();
    found.map(|requirement| requirement.scopes.concat())
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
            ("/admin/x/", "/admin/*"),
            ("/admin/x", "/admin/*"),
            ("/administrator", "/*"),
            ("/admin/health", "/admin/health"),
            ("/admin/health/", "/admin/*/admin/health"),
            ("/admin/deep/x/y", "/admin/deep/*"),
            ("/Admin", "/*/admin/*"),
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
        methods: vec!["GET".to_owned()],
        ..Requirement::new(Access::Open)
    };
    let pattern = RoutePattern::parse("/a/*").expect("a pattern");
    assert!(!routes.insert(Route::new(pattern, again)));
}
