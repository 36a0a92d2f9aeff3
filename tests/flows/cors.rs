//! CORS of the host's API.

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::system::{CHEAP, Peer, Reply};

use crate::with_account;

const APP: &str = "https://app.example";

async fn from(peer: &Peer, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    peer.send(request.body(Bytes::new()).expect("a request"))
        .await
}

#[tokio::test]
async fn cors_a_configured_origin_may_read_responses_and_refusals() {
    let system = with_account().await;
    let origins = format!("{APP}, http://localhost:3000");
    let settings = [("PORTCULLIS_ALLOWED_ORIGINS", origins.as_str())];
    let peer = system.another(CHEAP, &settings).await.expect("a host");
    for origin in [APP, "http://localhost:3000"] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        let reply = from(&peer, Method::OPTIONS, "/v1/login", &headers).await;
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("access-control-allow-origin"), origin);
        assert_eq!(reply.header("access-control-allow-credentials"), "true");
        assert_eq!(
            reply.header("access-control-allow-methods"),
            "GET, POST, DELETE"
        );
        assert_eq!(
            reply.header("access-control-allow-headers"),
            "authorization, content-type, x-portcullis-csrf"
        );
        assert_eq!(reply.header("access-control-max-age"), "600");
        assert!(reply.header("vary").starts_with("Origin"));
        for (path, status) in [
            ("/v1/sessions", 401),
            ("/nowhere", 404),
            ("/%zz", 400),
            ("/v1/login", 405),
            ("/health", 200),
        ] {
            let reply = from(&peer, Method::GET, path, &[("origin", origin)]).await;
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(
                reply.header("access-control-allow-origin"),
                origin,
                "{path}"
            );
            assert_eq!(
                reply.header("access-control-expose-headers"),
                "retry-after, www-authenticate, x-request-id"
            );
            assert_eq!(reply.header("vary"), "Origin", "{path}");
        }
    }
    for origin in [
        "null",
        "*",
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://login.example",
    ] {
        for (method, path) in [(Method::OPTIONS, "/v1/login"), (Method::GET, "/health")] {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
            ];
            let reply = from(&peer, method, path, &headers).await;
            assert_eq!(reply.header("access-control-allow-origin"), "", "{origin}");
            assert_eq!(reply.header("access-control-allow-credentials"), "");
            assert!(reply.header("vary").starts_with("Origin"));
        }
    }
    let twice = [("origin", APP), ("origin", APP)];
    let reply = from(&peer, Method::GET, "/health", &twice).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    let reply = from(&peer, Method::GET, "/health", &[]).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    assert_eq!(reply.header("vary"), "Origin");
}

#[tokio::test]
async fn cors_is_off_by_default_and_public_documents_are_for_every_page() {
    let system = with_account().await;
    let app = [("PORTCULLIS_ALLOWED_ORIGINS", APP)];
    let configured = system.another(CHEAP, &app).await.expect("a host");
    for peer in [&system.peer(), &configured] {
        for path in [
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ] {
            for origin in ["https://any.example", APP] {
                let reply = from(peer, Method::GET, path, &[("origin", origin)]).await;
                assert_eq!(reply.status, 200);
                assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
                assert_eq!(reply.header("access-control-allow-credentials"), "");
            }
        }
    }
    let peer = system.peer();
    let headers = [("origin", APP), ("access-control-request-method", "POST")];
    let reply = from(&peer, Method::OPTIONS, "/v1/login", &headers).await;
    assert_eq!(reply.status, 405);
    for reply in [
        reply,
        from(&peer, Method::GET, "/health", &headers).await,
        from(&peer, Method::GET, "/v1/sessions", &headers).await,
    ] {
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
}
