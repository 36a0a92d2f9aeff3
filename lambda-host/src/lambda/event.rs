//! Events of Lambda, and the parts of them that `lambda_http` does not cover.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64;
use http::HeaderMap;
use http::header::HOST;
use lambda_http::RequestExt as _;
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::request::{LambdaRequest, RequestContext};
use portcullis_core::path::MAX_PATH_BYTES;
use tracing::warn;

/// A path without a canonical form, which is rejected.
const NO_PATH: &str = "//";

/// Removes the parts of an event that make `lambda_http` panic and that this API does not use: the
/// `Host`, from which it builds a URL, the query, and a body that is invalid base64. A client can
/// send all of these, at least through a load balancer.
pub(super) fn make_sound(request: &mut LambdaRequest) {
    match request {
        LambdaRequest::ApiGatewayV1(event) => {
            event.request_context.domain_name = None;
            event.headers.remove(HOST);
            event.multi_value_headers.remove(HOST);
            event.query_string_parameters = Default::default();
            event.multi_value_query_string_parameters = Default::default();
            sound_path(&mut event.path);
            sound_body(&mut event.body, event.is_base64_encoded);
        }
        LambdaRequest::ApiGatewayV2(event) => {
            let context = &mut event.request_context;
            let own_domain = context
                .domain_name
                .take()
                .is_some_and(|name| is_gateway(&name));
            event.headers.remove(HOST);
            event.query_string_parameters = Default::default();
            event.raw_query_string = None;
            sound_path(&mut event.raw_path);
            if own_domain && let (Some(path), Some(stage)) = (&mut event.raw_path, &context.stage) {
                leave_stage(path, stage);
            }
            sound_body(&mut event.body, event.is_base64_encoded);
        }
        LambdaRequest::Alb(event) => {
            warn_of_single_headers(event);
            event.headers.remove(HOST);
            event.multi_value_headers.remove(HOST);
            event.query_string_parameters = Default::default();
            event.multi_value_query_string_parameters = Default::default();
            sound_path(&mut event.path);
            sound_body(&mut event.body, event.is_base64_encoded);
        }
        // Other events are not compiled in.
        _ => {}
    }
}

/// Logs once that the target group of a load balancer has multi-value headers switched off: then it
/// passes one `Set-Cookie` of a response and drops the others.
fn warn_of_single_headers(event: &AlbTargetGroupRequest) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if loses_cookies(event) && !WARNED.swap(true, Ordering::Relaxed) {
        warn!(
            "the load balancer's target group does not use multi-value headers, so a browser loses \
             cookies: set its attribute lambda.multi_value_headers.enabled to true"
        );
    }
}

/// An event has either the one or the other kind of headers.
fn loses_cookies(event: &AlbTargetGroupRequest) -> bool {
    event.multi_value_headers.is_empty() && !event.headers.is_empty()
}

/// The client's address as the gateway saw it; of `X-Forwarded-For` only the last entry, which the
/// load balancer appended.
pub(super) fn client_address(request: &lambda_http::Request) -> String {
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        Some(RequestContext::Alb(_)) => last_forwarded_for(request.headers()),
        _ => None,
    };
    address
        .and_then(read_address)
        .map(|address| address.to_string())
        .unwrap_or_default()
}

/// The gateway's request ID.
pub(super) fn gateway_name(request: &lambda_http::Request) -> Option<String> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.request_id.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    }
}

fn sound_path(path: &mut Option<String>) {
    if !path
        .as_ref()
        .is_some_and(|path| path.starts_with('/') && path.len() <= MAX_PATH_BYTES)
    {
        *path = Some(NO_PATH.to_owned());
    }
}

fn sound_body(body: &mut Option<String>, is_base64: bool) {
    if is_base64
        && body
            .as_ref()
            .is_some_and(|body| BASE64.decode(body.as_bytes()).is_err())
    {
        *body = None;
    }
}

/// HTTP APIs leave the stage in the path; it is part of the URL, not of the API.
fn leave_stage(path: &mut String, stage: &str) {
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(stage));
    if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
        *path = rest.to_owned();
    }
}

/// Whether a domain is the gateway's default, where paths begin with the stage.
fn is_gateway(domain: &str) -> bool {
    domain.contains(".execute-api.")
}

fn last_forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("x-forwarded-for").iter();
    values.next_back()?.to_str().ok()?.rsplit(',').next()
}

/// Parses an address with the port that load balancers can be configured to append.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> lambda_http::Request {
        let event: Result<LambdaRequest, _> = serde_json::from_str(json);
        let mut event = event.expect("an event");
        make_sound(&mut event);
        event.into()
    }

    fn alb(path: &str, headers: &str, body: &str, base64: bool) -> lambda_http::Request {
        read(&format!(
            r#"{{"requestContext":{{"elb":{{"targetGroupArn":"arn:aws:x"}}}},"httpMethod":"POST",
            "path":{path},"queryStringParameters":{{"a":"\u0000 b"}},"headers":{headers},
            "body":{body},"isBase64Encoded":{base64}}}"#
        ))
    }

    #[test]
    fn a_hostile_load_balancer_event_causes_no_panic() {
        for host in ["a b", "[", "x:99999999", "", "\\u00e9", "%", "http://x"] {
            let headers = format!(r#"{{"host":"{host}","x-forwarded-proto":"%%"}}"#);
            let request = alb(r#""/v1/login""#, &headers, "\"{}\"", false);
            assert_eq!(request.raw_http_path(), "/v1/login", "{host}");
        }
        let long = format!("\"/{}\"", "a".repeat(100_000));
        for path in ["\":99999\"", "\"\"", "null", "\"x\"", &long] {
            let request = alb(path, "{}", "null", false);
            assert_eq!(request.raw_http_path(), NO_PATH, "{path:.20}");
        }
        for odd in ["/\u{7f}", "/ ", "/<>\\\\^`{|}", "/%", "/\u{e9}", "/?#"] {
            let request = alb(&format!("\"{odd}\""), "{}", "null", false);
            assert!(request.raw_http_path().starts_with('/'), "{odd}");
        }
        let request = alb("\"/\"", "{}", "\"not base64!\"", true);
        assert!(request.body().is_empty());
        assert_eq!(alb("\"/\"", "{}", "\"aGk=\"", true).body().as_ref(), b"hi");
    }

    #[test]
    fn a_load_balancer_without_multi_value_headers_is_recognised() {
        for (headers, loses) in [
            (r#""headers":{"host":"x"}"#, true),
            (r#""multiValueHeaders":{"host":["x"]}"#, false),
            (r#""headers":{}"#, false),
        ] {
            let event = format!(
                r#"{{"requestContext":{{"elb":{{"targetGroupArn":"arn:aws:x"}}}},
                "httpMethod":"POST","path":"/",{headers},"isBase64Encoded":false}}"#
            );
            let event: AlbTargetGroupRequest = serde_json::from_str(&event).expect("an event");
            assert_eq!(loses_cookies(&event), loses, "{headers}");
        }
    }

    #[test]
    fn only_the_last_x_forwarded_for_entry_is_the_client_address() {
        for (forwarded, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("10.0.0.1, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1,2001:db8::1", "2001:db8::1"),
            ("x, 203.0.113.7:4711", "203.0.113.7"),
            ("203.0.113.7, evil", ""),
            ("", ""),
        ] {
            let headers = format!(r#"{{"x-forwarded-for":"{forwarded}"}}"#);
            let request = alb("\"/\"", &headers, "null", false);
            assert_eq!(client_address(&request), address, "{forwarded}");
        }
        assert_eq!(client_address(&alb("\"/\"", "{}", "null", false)), "");
    }

    #[test]
    fn the_stage_is_stripped_only_on_the_gateways_default_domain() {
        for (domain, path, left) in [
            (
                "a1.execute-api.eu-central-1.amazonaws.com",
                "/prod/v1/login",
                "/v1/login",
            ),
            (
                "a1.execute-api.eu-central-1.amazonaws.com",
                "/production",
                "/production",
            ),
            (
                "a1.execute-api.eu-central-1.amazonaws.com",
                "/v1/login",
                "/v1/login",
            ),
            ("login.example", "/prod/v1/login", "/prod/v1/login"),
        ] {
            let request = read(&format!(
                r#"{{"version":"2.0","routeKey":"$default","rawPath":"{path}",
                "rawQueryString":"a=%zz\u0000","headers":{{"host":"{domain}"}},
                "requestContext":{{"accountId":"1","apiId":"a1","domainName":"{domain}",
                "http":{{"method":"POST","path":"{path}","protocol":"HTTP/1.1",
                "sourceIp":"203.0.113.7","userAgent":"curl"}},"requestId":"JKJaXmPLvHcESHA=",
                "routeKey":"$default","stage":"prod","time":"","timeEpoch":0}},
                "body":"{{}}","isBase64Encoded":false}}"#
            ));
            assert_eq!(request.raw_http_path(), left, "{path}");
            assert_eq!(client_address(&request), "203.0.113.7");
            assert_eq!(gateway_name(&request).as_deref(), Some("JKJaXmPLvHcESHA="));
        }
    }
}
