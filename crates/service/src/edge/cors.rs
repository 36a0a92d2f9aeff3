//! CORS at the edge, where the policy has rules: preflights, and the headers of every response.

use portcullis_core::cors::{PREFLIGHT_VARY, VARY, is_preflight};
use portcullis_core::gate::Gate;
use portcullis_core::path::CanonicalPath;

use crate::edge::route::Refused;

/// The facts of a request that its CORS headers depend on.
#[derive(Clone, Copy, Debug)]
pub struct CorsRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// The path as the client sent it.
    pub raw_path: &'r str,
    /// The value of `Origin`.
    pub origin: Option<&'r str>,
    /// The value of `Access-Control-Request-Method`.
    pub requested_method: Option<&'r str>,
}

/// The CORS headers of the response to a request.
#[derive(Clone, Debug)]
#[must_use]
pub struct CorsResponse<'g> {
    /// Whether the edge decides for this path: the `Access-Control-*` headers of the origin are
    /// removed.
    pub replaces: bool,
    /// The headers to set.
    pub headers: Vec<(&'static str, String)>,
    /// The value to add to `Vary`.
    pub vary: &'static str,
    /// The answer to a preflight, which is not forwarded; `None` if the request is no preflight or
    /// its route leaves CORS to the origin.
    pub preflight: Option<Result<(), Refused<'g>>>,
}

/// The CORS headers of the response to `request`, whatever the response is; `None` if the policy has
/// no CORS rules. A request without a route has the rules of the policy.
pub fn cors_response<'g>(gate: &'g Gate, request: CorsRequest<'_>) -> Option<CorsResponse<'g>> {
    let routes = &gate.policy().routes;
    if !routes.have_cors() {
        return None;
    }
    let origin = request.origin;
    // A preflight has the route of the request that it asks for.
    let asked = is_preflight(request.method, origin, request.requested_method)
        .then_some(request.requested_method)
        .flatten();
    let path = CanonicalPath::parse_target(request.raw_path).map_err(|denial| (denial, None));
    let route = |method| match &path {
        Ok(path) => gate.requirement(method, path),
        Err(refused) => Err(refused.clone()),
    };
    let found = route(asked.unwrap_or(request.method));
    let Some(rules) = routes.cors_of(&found) else {
        return Some(CorsResponse {
            replaces: false,
            headers: Vec::new(),
            vary: VARY,
            preflight: None,
        });
    };
    let (headers, vary) = match (&path, &found, asked) {
        (Ok(path), Ok(_), Some(asked)) => {
            let mut methods = routes.methods_of(path);
            if !methods.contains(&asked) {
                methods.push(asked);
            }
            (rules.preflight_headers_at(origin, &methods), PREFLIGHT_VARY)
        }
        (_, _, Some(_)) => (rules.response_headers(origin), PREFLIGHT_VARY),
        (_, _, None) => (rules.response_headers(origin), VARY),
    };
    Some(CorsResponse {
        replaces: true,
        headers,
        vary,
        preflight: asked.map(|_| found.map(drop)),
    })
}

#[cfg(test)]
mod tests {
    use portcullis_core::denial::Denial;
    use portcullis_core::policy::Policy;

    use super::*;

    const APP: &str = "https://app.example";

    fn gate(members: &str, routes: &str) -> Gate {
        let policy = format!(
            r#"{{"issuers": [{{"issuer": "https://us", "audience": "api", "algorithms": ["EdDSA"],
                 "keys": "document", "profile": "at+jwt"}}], {members} "routes": [{routes}]}}"#
        );
        Gate::new(Policy::parse(&policy, None).expect("a policy"))
    }

    fn demo() -> Gate {
        gate(
            r#""cors": {"origins": "https://app.example", "expose": "x-total"},"#,
            r#"{"path": "/*", "access": "token"},
               {"path": "/m", "access": "token", "methods": ["GET", "POST"]},
               {"path": "/m2", "access": "token", "methods": ["GET"]},
               {"path": "/m2", "access": "open", "methods": ["PUT"]},
               {"path": "/own", "access": "token", "cors": false},
               {"path": "/any/*", "access": "open", "cors": {"origins": "*"}}"#,
        )
    }

    fn ask<'g>(
        gate: &'g Gate,
        method: &str,
        raw_path: &str,
        origin: Option<&str>,
        requested_method: Option<&str>,
    ) -> CorsResponse<'g> {
        let request = CorsRequest {
            method,
            raw_path,
            origin,
            requested_method,
        };
        cors_response(gate, request).expect("a policy with CORS")
    }

    fn header<'r>(response: &'r CorsResponse<'_>, name: &str) -> Option<&'r str> {
        let mut headers = response.headers.iter();
        let found = headers.find(|(own, _)| *own == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_policy_without_cors_has_no_headers() {
        let gate = gate("", r#"{"path": "/*", "access": "token"}"#);
        for method in ["GET", "OPTIONS"] {
            let request = CorsRequest {
                method,
                raw_path: "/a",
                origin: Some(APP),
                requested_method: Some("GET"),
            };
            assert!(cors_response(&gate, request).is_none());
        }
    }

    #[test]
    fn a_preflight_is_answered_by_the_route_of_the_requested_method() {
        let gate = demo();
        for (path, method, outcome, methods) in [
            (
                "/a",
                "DELETE",
                Ok(()),
                "GET, HEAD, POST, PUT, PATCH, DELETE",
            ),
            (
                "/a",
                "PROPFIND",
                Ok(()),
                "GET, HEAD, POST, PUT, PATCH, DELETE, PROPFIND",
            ),
            ("/m", "POST", Ok(()), "GET, POST"),
            ("/m2", "PUT", Ok(()), "PUT, GET"),
            // A twin has the methods that all of its routes allow.
            ("/M", "POST", Ok(()), "GET, HEAD, POST"),
            ("/M", "PUT", Err(Denial::MethodNotAllowed), ""),
            ("/m", "PUT", Err(Denial::MethodNotAllowed), ""),
            ("/m2", "POST", Err(Denial::MethodNotAllowed), ""),
            ("/m", "OPTIONS", Err(Denial::MethodNotAllowed), ""),
            ("/a;b", "GET", Err(Denial::BadPath), ""),
        ] {
            let response = ask(&gate, "OPTIONS", path, Some(APP), Some(method));
            let answer = response.preflight.clone().expect("a preflight");
            assert_eq!(answer.map_err(|(denial, _)| denial), outcome, "{path}");
            assert_eq!(header(&response, "access-control-allow-origin"), Some(APP));
            let listed = header(&response, "access-control-allow-methods");
            assert_eq!(listed.unwrap_or_default(), methods, "{path}");
            assert_eq!(response.vary, PREFLIGHT_VARY);
        }
    }

    #[test]
    fn a_request_without_a_route_has_the_rules_of_the_policy() {
        let gate = gate(
            r#""cors": {"origins": "https://app.example"},"#,
            r#"{"path": "/a", "access": "token"}"#,
        );
        let response = ask(&gate, "GET", "/b", Some(APP), None);
        assert_eq!(header(&response, "access-control-allow-origin"), Some(APP));
        let preflight = ask(&gate, "OPTIONS", "/b", Some(APP), Some("GET")).preflight;
        let denial = preflight.and_then(Result::err).map(|(denial, _)| denial);
        assert_eq!(denial, Some(Denial::UnknownRoute));
    }

    #[test]
    fn a_foreign_origin_gets_no_headers_and_the_preflight_is_not_forwarded() {
        let gate = demo();
        for origin in ["https://evil.example", "null", "http://app.example"] {
            let response = ask(&gate, "OPTIONS", "/a", Some(origin), Some("GET"));
            assert!(response.headers.is_empty() && response.replaces, "{origin}");
            assert!(matches!(response.preflight, Some(Ok(()))), "{origin}");
            assert!(
                ask(&gate, "GET", "/a", Some(origin), None)
                    .headers
                    .is_empty()
            );
        }
        assert!(ask(&gate, "GET", "/a", None, None).headers.is_empty());
    }

    #[test]
    fn a_page_may_read_why_it_was_refused() {
        let gate = demo();
        let response = ask(&gate, "GET", "/a", Some(APP), None);
        let exposed = header(&response, "access-control-expose-headers");
        let all = "x-total, www-authenticate, retry-after, x-request-id";
        assert_eq!(exposed, Some(all));
        assert!(response.preflight.is_none() && response.vary == VARY);
    }

    #[test]
    fn a_route_has_rules_of_its_own_or_leaves_cors_to_the_origin() {
        let gate = demo();
        let response = ask(&gate, "GET", "/any/x", Some("https://b.example"), None);
        assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
        for (method, requested) in [("GET", None), ("OPTIONS", Some("GET"))] {
            let response = ask(&gate, method, "/own", Some(APP), requested);
            assert!(!response.replaces && response.headers.is_empty());
            assert!(response.preflight.is_none());
            assert_eq!(response.vary, VARY);
        }
    }

    #[test]
    fn an_options_request_that_is_no_preflight_is_routed_as_any_other() {
        let gate = demo();
        for (origin, requested) in [(None, Some("GET")), (Some(APP), None), (None, None)] {
            let response = ask(&gate, "OPTIONS", "/a", origin, requested);
            assert!(response.preflight.is_none());
        }
    }

    #[test]
    fn twins_with_other_rules_let_no_page_read_the_response() {
        let gate = demo();
        for path in ["/ANY/x", "/OWN"] {
            let response = ask(&gate, "GET", path, Some(APP), None);
            assert!(response.replaces && response.headers.is_empty(), "{path}");
        }
        let response = ask(&gate, "GET", "/A", Some(APP), None);
        assert_eq!(header(&response, "access-control-allow-origin"), Some(APP));
    }
}
