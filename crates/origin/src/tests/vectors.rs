//! Assertions of an independent implementation in JavaScript, which the npm package checks as well.

use http::Request;
use http::request::Parts;
use portcullis_core::json::{Json, Object};
use portcullis_core::time::UnixTime;

use super::super::proof::check;
use crate::{EdgeIdentity, EdgeProof};

const FILES: [&str; 3] = [
    include_str!("../../../../tests/vectors/assertion/hs256.json"),
    include_str!("../../../../tests/vectors/assertion/eddsa.json"),
    include_str!("../../../../tests/vectors/assertion/es256.json"),
];

const SECRET_HEADER: &str = include_str!("../../../../tests/vectors/assertion/secret_header.json");

fn text<'v>(vector: &'v Object, name: &str) -> Option<&'v str> {
    vector.get(name).and_then(Json::as_text)
}

/// Where a vector has roles, the identity has exactly these.
fn assert_roles(vector: &Object, parts: &Parts, name: &str) {
    let Some(expected) = vector.get("roles").and_then(Json::as_array) else {
        return;
    };
    let expected: Option<Vec<_>> = expected.iter().map(Json::as_text).collect();
    let identity = parts.extensions.get::<EdgeIdentity>().expect(name);
    assert_eq!(
        Some(identity.roles.iter().map(String::as_str).collect()),
        expected,
        "{name}"
    );
}

/// The layer with the keys of a vector.
fn layer(vector: &Object) -> EdgeProof {
    let origin = text(vector, "origin").expect("an origin");
    match (text(vector, "secret"), vector.get("jwks")) {
        (Some(secret), None) => EdgeProof::shared_key(origin, [secret]).expect("a layer"),
        (None, Some(keys)) => EdgeProof::keys(origin, &keys.to_string()).expect("a layer"),
        (_, _) => panic!("a secret or keys"),
    }
}

#[tokio::test]
async fn assertions_of_another_implementation_are_accepted_or_rejected_as_it_says() {
    let mut counts = [0_u32; 2];
    for file in FILES {
        let vectors = Json::parse(file.as_bytes()).expect("JSON");
        for vector in vectors.into_array().expect("an array") {
            let vector = vector.into_object().expect("an object");
            let name = text(&vector, "name").expect("a name");
            let accepted = vector.get("accepted") == Some(&Json::Bool(true));
            let now = vector.get("now").and_then(Json::as_whole).expect("a time");
            let request = Request::builder()
                .method(text(&vector, "method").expect("a method"))
                .uri(text(&vector, "target").expect("a target"))
                .header(
                    "x-portcullis-assertion",
                    text(&vector, "assertion").expect("an assertion"),
                )
                .body(())
                .expect("a request");
            let (mut parts, ()) = request.into_parts();
            let settings = layer(&vector).0;
            let outcome = check(&settings, &mut parts, UnixTime::from_secs(now)).await;
            assert_eq!(outcome.is_ok(), accepted, "{name}: {outcome:?}");
            assert_roles(&vector, &parts, name);
            counts[usize::from(accepted)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}

#[tokio::test]
async fn secret_headers_are_accepted_or_rejected_as_in_the_npm_package() {
    let mut counts = [0_u32; 2];
    let vectors = Json::parse(SECRET_HEADER.as_bytes()).expect("JSON");
    for vector in vectors.into_array().expect("an array") {
        let vector = vector.into_object().expect("an object");
        let name = text(&vector, "name").expect("a name");
        let accepted = vector.get("accepted") == Some(&Json::Bool(true));
        let secret = text(&vector, "secret").expect("a secret");
        let settings = EdgeProof::secret([secret]).expect("a layer").0;
        let headers = vector.get("headers").and_then(Json::as_array);
        let mut request = Request::builder();
        for header in headers.expect("headers") {
            let header = header.as_array().expect("a pair");
            let part = |place: usize| header.get(place).and_then(Json::as_text).expect("text");
            request = request.header(part(0), part(1));
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let outcome = check(&settings, &mut parts, UnixTime::from_secs(0)).await;
        assert_eq!(outcome.is_ok(), accepted, "{name}: {outcome:?}");
        assert_roles(&vector, &parts, name);
        counts[usize::from(accepted)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
}

/// `http` cuts off a fragment before the layer: the app sees the target that the assertion proves.
#[tokio::test]
async fn a_fragment_never_reaches_the_app() {
    let vectors = Json::parse(FILES[0].as_bytes()).expect("JSON");
    let first = vectors.into_array().expect("an array").swap_remove(0);
    let vector = first.into_object().expect("an object");
    let target = text(&vector, "target").expect("a target");
    let request = Request::get(format!("{target}#x"))
        .header(
            "x-portcullis-assertion",
            text(&vector, "assertion").expect("an assertion"),
        )
        .body(())
        .expect("a request");
    let (mut parts, ()) = request.into_parts();
    let now = vector.get("now").and_then(Json::as_whole).expect("a time");
    let settings = layer(&vector).0;
    let outcome = check(&settings, &mut parts, UnixTime::from_secs(now)).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(parts.uri.to_string(), target);
}
