//! The bodies of requests, as the OpenAPI document describes them and as the host parses them.

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::system::{Peer, Reply, System};
use serde_json::{Map, Value, json};

use crate::refresh::form;
use crate::sessions::with_client;
use crate::{is_problem, token};

/// An account with another password than the examples of the document, which must not change it.
const EMAIL: &str = "body@example.com";
const PASSWORD: &str = "marble lantern orbit quilt";

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The body of one operation.
struct Described {
    method: Method,
    path: String,
    /// A value for each documented member.
    members: Map<String, Value>,
    required: Vec<String>,
}

impl Described {
    /// Every documented body of this media type.
    fn all(document: &Value, media_type: &str) -> Vec<Self> {
        let mut bodies = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let content = &operation["requestBody"]["content"][media_type];
                let schema = &content["schema"];
                // An optional body is null or one of its schema.
                let optional = schema["oneOf"].as_array().into_iter().flatten();
                let mut schemas = core::iter::once(schema).chain(optional);
                let Some(reference) = schemas.find_map(|schema| schema["$ref"].as_str()) else {
                    continue;
                };
                let schema = document.pointer(reference.trim_start_matches('#'));
                let schema = schema.expect("a schema");
                let properties = schema["properties"].as_object().expect("members");
                let sample = |(name, member)| (String::clone(name), sample(name, member));
                let required = schema["required"].as_array().into_iter().flatten();
                let required = required.filter_map(Value::as_str);
                bodies.push(Self {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    members: properties.iter().map(sample).collect(),
                    required: required.map(str::to_owned).collect(),
                });
            }
        }
        bodies
    }

    /// A value for each required member.
    fn least(&self) -> Map<String, Value> {
        let members = self.members.iter();
        let required = members.filter(|(name, _)| self.required.contains(name));
        required
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    async fn send(&self, peer: &Peer, token: &str, body: Map<String, Value>) -> Reply {
        let request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("content-type", JSON)
            .header("authorization", format!("Bearer {token}"));
        let body = Bytes::from(Value::Object(body).to_string());
        peer.send(request.body(body).expect("a request")).await
    }

    async fn send_form(&self, peer: &Peer, body: &Map<String, Value>) -> Reply {
        let pairs = body
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().expect("a text")));
        let pairs: Vec<String> = pairs.collect();
        form(peer, &self.path, &pairs.join("&"), &[]).await
    }
}

/// The example of a member, or a value that the endpoint parses.
fn sample(name: &str, member: &Value) -> Value {
    assert_eq!(member["type"], "string", "{name}");
    match (&member["example"], name) {
        (Value::Null, "client_id") => json!("orders"),
        (Value::Null, "client_secret") => json!("orders-secret"),
        (Value::Null, _) => json!("x"),
        (example, _) => example.clone(),
    }
}

/// `body` with one more member.
fn with(body: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut body = body.clone();
    body.insert(name.to_owned(), value);
    body
}

/// `body` without one member.
fn without(body: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let mut body = body.clone();
    body.remove(name);
    body
}

/// Checks that `reply` is the problem `code` of the member `name`.
fn is_problem_of(reply: &Reply, code: &str, name: &str) {
    is_problem(reply, 400, code);
    let detail = reply.json["detail"].as_str().expect("a detail");
    assert!(detail.split(' ').any(|word| word == name), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_body_has_exactly_the_members_that_the_document_lists() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let document = peer.get("/openapi.json").await.json;
    assert_eq!(peer.register(EMAIL, PASSWORD).await.status, 201);
    let bodies = Described::all(&document, JSON);
    assert_eq!(bodies.len(), 15);
    for body in bodies {
        // One of the calls is a logout.
        let token = token(&peer.login(EMAIL, PASSWORD).await);
        let what = format!("{} {}", body.method, body.path);
        let least = body.least();
        for (name, value) in &body.members {
            let reply = body
                .send(&peer, &token, with(&least, name, value.clone()))
                .await;
            assert!(
                !["unknown_member", "bad_member", "malformed_body"].contains(&reply.code()),
                "{what} rejects {name}: {reply:?}"
            );
            for other_type in [Value::Null, json!(1), json!([value])] {
                let reply = body
                    .send(&peer, &token, with(&least, name, other_type))
                    .await;
                is_problem_of(&reply, "bad_member", name);
            }
            let undocumented = with(&least, &name.to_uppercase(), value.clone());
            let reply = body.send(&peer, &token, undocumented).await;
            is_problem(&reply, 400, "unknown_member");
        }
        for name in &body.required {
            let reply = body.send(&peer, &token, without(&least, name)).await;
            is_problem_of(&reply, "missing_member", name);
        }
        let undocumented = with(&least, "undocumented", json!("x"));
        let reply = body.send(&peer, &token, undocumented).await;
        is_problem(&reply, 400, "unknown_member");
    }
}

/// RFC 6749 §3.2: the host ignores a parameter that it does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_read_by_the_parameters_that_the_document_lists() {
    let system = System::start().await.expect("a system");
    let peer = with_client(&system).await;
    let document = peer.get("/openapi.json").await.json;
    let bodies = Described::all(&document, FORM);
    assert_eq!(bodies.len(), 3);
    let incomplete = ["missing_member", "bad_client"];
    for body in bodies {
        let complete = body.send_form(&peer, &body.members).await;
        let code = complete.code();
        assert!(
            complete.status == 200 || code == "bad_refresh_token",
            "{} {complete:?}",
            body.path
        );
        for name in body.members.keys() {
            if name == "resource" {
                // The only optional parameter: without it, the token gets the default audience.
                let reply = body
                    .send_form(&peer, &with(&body.members, name, json!("x")))
                    .await;
                assert_eq!(reply.code(), "invalid_target", "{reply:?}");
                continue;
            }
            let reply = body.send_form(&peer, &without(&body.members, name)).await;
            assert!(
                incomplete.contains(&reply.code()),
                "{} ignores {name}: {reply:?}",
                body.path
            );
        }
        let undocumented = with(&body.members, "undocumented", json!("x"));
        let reply = body.send_form(&peer, &undocumented).await;
        assert_eq!((reply.status, reply.code()), (complete.status, code));
    }
}
