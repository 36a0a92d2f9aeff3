//! The shipped program under a Lambda Runtime API, with an event of each kind.

use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_tests::lambda_runtime::{LambdaRuntime, Posted};
use portcullis_tests::program::{Program, host_program};
use portcullis_tests::system::{System, environment};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{EMAIL, PASSWORD};

/// The source of the events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gateway {
    HttpApi,
    FunctionUrl,
    RestApi,
    LoadBalancer,
}

use Gateway::{FunctionUrl, HttpApi, LoadBalancer, RestApi};

impl Gateway {
    const ALL: [Self; 4] = [HttpApi, FunctionUrl, RestApi, LoadBalancer];

    /// The documented event, with our request in it.
    fn event(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Value {
        let text = match self {
            HttpApi => include_str!("../vectors/lambda/http-api.json"),
            FunctionUrl => include_str!("../vectors/lambda/function-url.json"),
            RestApi => include_str!("../vectors/lambda/rest-api.json"),
            LoadBalancer => include_str!("../vectors/lambda/load-balancer.json"),
        };
        let mut event: Value = serde_json::from_str(text).expect("an event");
        match self {
            HttpApi | FunctionUrl => {
                let stage = event["requestContext"]["stage"].as_str().expect("a stage");
                let stage = if stage == "$default" {
                    String::new()
                } else {
                    format!("/{stage}")
                };
                event["rawPath"] = format!("{stage}{path}").into();
                event["requestContext"]["http"]["path"] = event["rawPath"].clone();
                event["requestContext"]["http"]["method"] = method.into();
            }
            RestApi | LoadBalancer => {
                event["path"] = path.into();
                event["httpMethod"] = method.into();
            }
        }
        for (name, value) in headers {
            event["headers"][name] = (*value).into();
            if self == LoadBalancer {
                event["multiValueHeaders"][name] = json!([value]);
            }
        }
        event["body"] = body.map_or(Value::Null, Value::from);
        event
    }

    /// The client's address in the documented event.
    const fn caller(self) -> &'static str {
        match self {
            HttpApi => "203.0.113.7",
            FunctionUrl => "65.78.31.245",
            RestApi => "192.168.100.1",
            LoadBalancer => "72.21.198.66",
        }
    }

    /// A response header, in the format that this gateway reads.
    fn header<'a>(self, answer: &'a Value, name: &str) -> &'a str {
        let value = match self {
            HttpApi | FunctionUrl => &answer["headers"][name],
            RestApi | LoadBalancer => &answer["multiValueHeaders"][name][0],
        };
        value.as_str().unwrap_or_default()
    }
}

/// The function, and its Runtime API.
struct Function {
    runtime: LambdaRuntime,
    program: Program,
}

impl Function {
    async fn start(system: &System) -> Self {
        Self::start_with(system, &[]).await
    }

    /// A function with more variables.
    async fn start_with(system: &System, more: &[(&str, &str)]) -> Self {
        // The program uses the machine's clock, so everything around it does.
        let now = SystemClock.read().expect("after 1970");
        system.clock.set(now.as_secs());
        let runtime = LambdaRuntime::start().await.expect("a runtime");
        let mut variables = environment(&system.proxy);
        variables.retain(|(name, _)| name != "PORTCULLIS_LISTEN");
        variables.extend(
            runtime
                .environment()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.extend(more.iter().map(owned));
        let program = Program::start(host_program(false), variables).expect("a process");
        Self { runtime, program }
    }

    async fn invoke(&mut self, event: &Value) -> Value {
        match self
            .runtime
            .invoke(&event.to_string())
            .await
            .expect("a runtime")
        {
            Posted::Response(answer) => answer,
            Posted::Error(error) | Posted::InitError(error) => panic!("{error}"),
        }
    }
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().expect("text")).expect("JSON")
}

#[tokio::test]
async fn each_gateway_event_registers_logs_in_and_logs_out() {
    for gateway in Gateway::ALL {
        let system = System::start().await.expect("a system");
        let mut function = Function::start(&system).await;
        let json = [("content-type", "application/json")];
        let credentials = json!({"email": EMAIL, "password": PASSWORD}).to_string();

        let event = gateway.event("POST", "/v1/register", &json, Some(&credentials));
        let answer = function.invoke(&event).await;
        assert_eq!(answer["statusCode"], 201, "{gateway:?}: {answer}");
        let name = gateway.header(&answer, "x-request-id").to_owned();

        // Gateways encode bodies that they consider binary as base64.
        let encoded = data_encoding::BASE64.encode(credentials.as_bytes());
        let mut event = gateway.event("POST", "/v1/login", &json, Some(&encoded));
        event["isBase64Encoded"] = true.into();
        let answer = function.invoke(&event).await;
        assert_eq!(answer["statusCode"], 200, "{gateway:?}: {answer}");
        assert_eq!(gateway.header(&answer, "cache-control"), "no-store");
        let token = body(&answer)["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();

        let bearer = format!("Bearer {token}");
        let event = gateway.event("POST", "/v1/logout", &[("authorization", &bearer)], None);
        assert_eq!(
            function.invoke(&event).await["statusCode"],
            204,
            "{gateway:?}"
        );
        assert_eq!(
            function.invoke(&event).await["statusCode"],
            204,
            "asked again"
        );
        let missing = gateway.event(
            "GET",
            "/v1/sessions",
            &[("authorization", "Bearer x")],
            None,
        );
        let missing = function.invoke(&missing).await;
        assert_eq!(
            (&missing["statusCode"], &body(&missing)["code"]),
            (&401.into(), &"malformed_token".into())
        );
        assert!(
            gateway
                .header(&missing, "www-authenticate")
                .starts_with("Bearer error=")
        );

        let mut audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
        // The host published its key by itself.
        audit.retain(|line| line["action"] != "key_publish");
        // A registration, a login and one logout: a repeated one leaves no entry.
        assert_eq!(audit.len(), 3, "{gateway:?}");
        for line in &audit {
            assert_eq!(line["client_address"], gateway.caller(), "{gateway:?}");
        }
        let made = audit
            .iter()
            .find(|line| line["action"] == "register")
            .expect("a line");
        assert_eq!(made["request_id"], name.as_str());
        // The platform's ID is only logged: the host draws the ID of a request itself.
        assert_eq!(name.len(), 22, "{gateway:?}: {name}");
        assert!(
            system
                .proxy
                .calls()
                .iter()
                .all(|call| call.signature.is_ok())
        );
    }
}

#[tokio::test]
async fn a_bad_request_is_a_response_and_no_failed_invocation() {
    let system = System::start().await.expect("a system");
    let mut function = Function::start(&system).await;
    let json = [("content-type", "application/json")];
    for gateway in Gateway::ALL {
        for (method, path, headers, sent, status, code) in [
            (
                "POST",
                "/v1/login",
                &json[..],
                Some("{"),
                400,
                "malformed_body",
            ),
            ("POST", "/v1/login", &json, None, 400, "malformed_body"),
            (
                "POST",
                "/v1/login",
                &[("content-type", "text/plain")],
                Some("{}"),
                415,
                "unsupported_media_type",
            ),
            ("GET", "/v1/login", &json, None, 405, "method_not_allowed"),
            ("GET", "/v1/nothing", &json, None, 404, "unknown_route"),
            ("GET", "/v1/../health", &json, None, 400, "bad_path"),
            ("GET", "/a b", &json, None, 400, "bad_path"),
            ("GET", "no slash", &json, None, 400, "bad_path"),
            ("GET", "/health", &[("host", "[not a host")], None, 200, ""),
            (
                "GET",
                "/health",
                &[("x-forwarded-proto", "%%%")],
                None,
                200,
                "",
            ),
        ] {
            let event = gateway.event(method, path, headers, sent);
            let answer = function.invoke(&event).await;
            assert_eq!(answer["statusCode"], status, "{gateway:?} {path}: {answer}");
            assert_eq!(
                body(&answer)["code"].as_str().unwrap_or_default(),
                code,
                "{gateway:?} {path}"
            );
        }
        let large = " ".repeat(9_000);
        let event = gateway.event("POST", "/v1/register", &json, Some(&large));
        assert_eq!(
            body(&function.invoke(&event).await)["code"],
            "body_too_large"
        );
        let mut event = gateway.event("POST", "/v1/register", &json, Some("no base64!"));
        event["isBase64Encoded"] = true.into();
        assert_eq!(
            body(&function.invoke(&event).await)["code"],
            "malformed_body"
        );
    }
    assert!(function.program.is_running());
    assert!(
        system.proxy.calls().is_empty(),
        "none of these reached the store"
    );
}

#[tokio::test]
async fn an_event_that_is_no_request_fails_alone() {
    let system = System::start().await.expect("a system");
    let mut function = Function::start(&system).await;
    for event in [
        "{}",
        "[]",
        "null",
        r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
    ] {
        let posted = function.runtime.invoke(event).await.expect("a runtime");
        assert!(matches!(posted, Posted::Error(_)), "{event}: {posted:?}");
    }
    let event = RestApi.event("GET", "/health", &[], None);
    assert_eq!(function.invoke(&event).await["statusCode"], 200);
}

#[tokio::test]
async fn an_unavailable_breach_service_times_out_and_is_logged() {
    let system = System::start().await.expect("a system");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let range = format!("http://{}/", closed.local_addr().expect("bound"));
    drop(closed);
    let mut function =
        Function::start_with(&system, &[("PORTCULLIS_PWNED_PASSWORDS_URL", &range)]).await;
    let json = [("content-type", "application/json")];
    let mut register = async |number: u32| {
        let email = format!("{number}@example.com");
        let credentials = json!({"email": email, "password": PASSWORD}).to_string();
        let event = HttpApi.event("POST", "/v1/register", &json, Some(&credentials));
        assert_eq!(function.invoke(&event).await["statusCode"], 201, "{number}");
    };
    for number in 0..6 {
        register(number).await;
    }
    let program = &mut function.program;
    let failures = program.metric("breach_range", "Failures").await;
    assert_eq!(
        failures.expect("a line"),
        1,
        "logged with the first response"
    );
    let open = program
        .line(|line| line["service"] == "breach_range")
        .await
        .expect("a line");
    assert_eq!(open["level"], "WARN", "{open}");
    let state = program.metric("breach_range", "BreakerState").await;
    assert_eq!(state.expect("a line"), 2);
}
