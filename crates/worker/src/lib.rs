//! The Cloudflare adapter: a Worker between the edge and the origin.
//!
//! The steps of one request: read the clock, match the route, verify the token against the
//! isolate's snapshot of keys and revocations. Then the request is forwarded with the caller's
//! identity, or answered here. `portcullis-core` has the rules; this adapter provides the clock,
//! `fetch`, `crypto.subtle` and the isolate's state between requests.
//!
//! The shipped Worker calls [`answer`] for each request. A Worker of your own, built without the
//! feature `entry`, may do other work before or after it:
//!
//! ```
//! use worker::{Context, Env};
//!
//! async fn fetch(request: web_sys::Request, env: Env, context: Context) -> web_sys::Response {
//!     if request.method() == "TRACE" {
//!         return web_sys::Response::error();
//!     }
//!     portcullis_worker::answer(&request, &env, &context).await
//! }
//! ```
//!
//! Each module of an optional feature has a replacement in `without` with the same interface.

#[cfg_attr(not(feature = "assertion-keys"), path = "without/assertion_keys.rs")]
pub mod assertion_keys;
pub mod browser_headers;
pub mod cache_api;
pub mod clock;
pub mod config;
pub mod edge_request;
pub mod forward;
pub mod isolate;
#[cfg_attr(not(feature = "rate-limit"), path = "without/limit.rs")]
pub mod limit;
#[cfg_attr(not(feature = "websocket"), path = "without/live.rs")]
pub mod live;
#[cfg_attr(not(feature = "lookup"), path = "without/lookup.rs")]
pub mod lookup;
pub mod lookup_cache;
#[cfg_attr(not(feature = "metrics"), path = "without/metrics.rs")]
pub mod metrics;
pub mod origin_proof;
pub mod origin_proof_error;
pub mod refuse;
pub mod signatures;
pub mod transport;

#[cfg(feature = "entry")]
use core::convert::Infallible;
use std::borrow::Cow;
use std::rc::Rc;

use portcullis_core::assertion::{AssertionDraft, KEYS_PATH};
use portcullis_core::denial::Denial;
use portcullis_core::forwarding::Connection;
use portcullis_core::id::Id;
use portcullis_core::path::CanonicalPath;
use portcullis_core::route::{Requirement, is_reflecting};
use portcullis_core::token::verifier::Verified;
use portcullis_core::upgrade::UpgradeRequest;
use portcullis_service::edge::authorize::authorize;
use portcullis_service::edge::cors::{CorsRequest, cors_response};
use portcullis_service::edge::route::{Refused, RequestHead, route_head};
use worker::{Context, Env};

use crate::browser_headers::complete;
use crate::clock::now;
use crate::edge_request::EdgeRequest;
use crate::forward::{ForHost, Forwarded, forward, forward_to_host, onward_request};
use crate::isolate::Isolate;
use crate::live::end_with_token;
use crate::refuse::{no_content, public_document, public_preflight, refuse};

/// The handler of the `fetch` event.
#[cfg(feature = "entry")]
#[worker::event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> Result<web_sys::Response, Infallible> {
    Ok(answer(&request, &env, &context).await)
}

/// Responds to one request: with the origin's response, or with a rejection.
pub async fn answer(request: &web_sys::Request, env: &Env, context: &Context) -> web_sys::Response {
    let (method, url) = (request.method(), request.url());
    let is_https = url.starts_with("https:");
    let Some(request_id) = fresh_id() else {
        // The platform provides no random numbers.
        let refusal = refuse(Denial::NotConfigured, None, &Id::from_random([0; 16]));
        return complete(refusal, is_https, None).unwrap_or_else(|_| web_sys::Response::error());
    };
    let isolate = Isolate::current(env);
    let (path, _) = split(&url);
    let headers = request.headers();
    let header = |name| header(&headers, name);
    let (origin, requested_method) = (header("origin"), header("access-control-request-method"));
    // The keys of the edge are for every page.
    let host_path = isolate
        .as_ref()
        .and_then(|isolate| isolate.host()?.route.covers(path));
    let published = isolate
        .as_ref()
        .and_then(|isolate| isolate.gate().policy().published_at(path));
    // The host has CORS rules of its own, and published documents are for every page.
    let is_own = path == KEYS_PATH || host_path.is_some() || published.is_some();
    let gate = isolate.as_ref().filter(|_| !is_own);
    let mut cors = gate.and_then(|isolate| {
        let cors_request = CorsRequest {
            method: &method,
            raw_path: path,
            origin: origin.as_deref(),
            requested_method: requested_method.as_deref(),
        };
        cors_response(isolate.gate(), cors_request)
    });
    let preflight = cors.as_mut().and_then(|cors| cors.preflight.take());
    let passed = match &isolate {
        None => Err((Denial::NotConfigured, None)),
        Some(isolate) => match host_path {
            None if published.is_some() => limited(isolate, request, env)
                .await
                .and_then(|_address| publish(&method, published)),
            Some(path) => pass_to_host(isolate, request, env, &request_id, &path).await,
            None => pass(isolate, request, env, context, &request_id, preflight).await,
        },
    };
    let complete = |response| complete(response, is_https, cors.as_ref());
    passed
        .and_then(|response| complete(response).map_err(|_| (Denial::OriginUnreachable, None)))
        .or_else(|(denial, requirement)| {
            complete(refuse(denial, requirement.as_ref(), &request_id))
        })
        // If the platform fails even here, the request is still rejected.
        .unwrap_or_else(|_| web_sys::Response::error())
}

/// Counts the request by the client's address, which it returns.
async fn limited(
    isolate: &Rc<Isolate>,
    request: &web_sys::Request,
    env: &Env,
) -> Result<Option<String>, (Denial, Option<Requirement>)> {
    let address = header(&request.headers(), "cf-connecting-ip");
    limit::check_rate(env, address.as_deref(), isolate.rate_period())
        .await
        .map_err(|denial| (denial, None))?;
    Ok(address)
}

/// The metadata of a resource (RFC 9728 §3), which the policy alone decides. A page may send headers
/// of its own, such as the version of its protocol.
fn publish(
    method: &str,
    document: Option<&str>,
) -> Result<web_sys::Response, (Denial, Option<Requirement>)> {
    let response = match (method, document) {
        ("GET" | "HEAD", Some(document)) => public_document("application/json", document),
        ("OPTIONS", Some(_)) => public_preflight(),
        (_, _) => return Err((Denial::UnknownRoute, None)),
    };
    response.ok_or((Denial::NotConfigured, None))
}

/// Forwards a request for `path` to the auth host, without a decision of the policy.
async fn pass_to_host(
    isolate: &Rc<Isolate>,
    request: &web_sys::Request,
    env: &Env,
    request_id: &Id,
    path: &CanonicalPath,
) -> Result<web_sys::Response, (Denial, Option<Requirement>)> {
    let refused = |denial| (denial, None);
    let host = isolate
        .host()
        .ok_or_else(|| refused(Denial::NotConfigured))?;
    let (method, url) = (request.method(), request.url());
    let address = limited(isolate, request, env).await?;
    if is_reflecting(&method) {
        return Err(refused(Denial::UnknownRoute));
    }
    let (_, query) = split(&url);
    let onward = onward_request(request, &host.origin.target(path, query))
        .map_err(|_| refused(Denial::OriginUnreachable))?;
    let for_host = ForHost {
        request: &onward,
        rules: &isolate.gate().policy().headers,
        connection: Connection::of_url(&url, address.as_deref()),
        request_id,
        secret: &host.secret,
    };
    forward_to_host(&for_host).await.map_err(refused)
}

async fn pass(
    isolate: &Rc<Isolate>,
    request: &web_sys::Request,
    env: &Env,
    context: &Context,
    request_id: &Id,
    preflight: Option<Result<(), Refused<'_>>>,
) -> Result<web_sys::Response, (Denial, Option<Requirement>)> {
    let headers = request.headers();
    let header = |name| header(&headers, name);
    let address = header("cf-connecting-ip");
    limit::check_rate(env, address.as_deref(), isolate.rate_period())
        .await
        .map_err(|denial| (denial, None))?;
    let gate = isolate.gate();
    let url = request.url();
    let (path, query) = split(&url);
    if path == KEYS_PATH {
        // SECURITY: reserved in every configuration. An origin that trusts the keys at this path
        // must never get them from a route.
        let keys = isolate.origin_proof().public_keys();
        return keys
            .filter(|_| matches!(request.method().as_str(), "GET" | "HEAD"))
            .and_then(|keys| public_document("application/jwk-set+json", keys))
            .ok_or((Denial::UnknownRoute, None));
    }
    if let Some(outcome) = preflight {
        let refused =
            |(denial, requirement): Refused<'_>| (denial, requirement.map(Cow::into_owned));
        outcome.map_err(refused)?;
        return no_content().ok_or((Denial::NotConfigured, None));
    }
    let authorization = header("authorization");
    let method = request.method();
    let (upgrade, origin) = (header("upgrade"), header("origin"));
    let subprotocols = header("sec-websocket-protocol");
    let head = RequestHead {
        raw_path: path,
        authorization: authorization.as_deref(),
        upgrade: UpgradeRequest {
            method: &method,
            upgrade: upgrade.as_deref(),
            has_key: header("sec-websocket-key").is_some(),
            origin: origin.as_deref(),
            url: &url,
        },
        subprotocols: subprotocols.as_deref(),
    };
    let routed = route_head(gate, &head)
        .map_err(|(denial, requirement)| (denial, requirement.map(Cow::into_owned)))?;
    let caller = match routed.token {
        None => None,
        Some(token) => {
            let isolate = Rc::clone(isolate);
            let edge_request = EdgeRequest { isolate, context };
            let admitted = authorize(&edge_request, &routed.requirement, token).await;
            edge_request.isolate.emit_metrics(env);
            match admitted {
                Ok(caller) => caller,
                Err(denial) => return Err((denial, Some(routed.requirement.into_owned()))),
            }
        }
    };
    let target = isolate.origin().target(&routed.path, query);
    let connection = Connection::of_url(&url, address.as_deref());
    let (audience, origin_proof) = (isolate.origin().as_str(), isolate.origin_proof());
    let onward = onward_request(request, &target).map_err(|_| (Denial::OriginUnreachable, None))?;
    // The platform's spelling of the target, which the origin receives.
    let sent = origin_proof.binds_request().then(|| onward.url());
    let sent = sent.as_deref().unwrap_or_default();
    let draft = || AssertionDraft {
        audience,
        issued_at: now(),
        request_id,
        method: &method,
        target: sent.get(audience.len()..).unwrap_or_default(),
        host: connection.host,
        caller: caller.as_ref().map(Verified::get),
    };
    let proof = origin_proof.header(draft).await.map_err(|_| {
        worker::console_error!("portcullis is not configured: the platform rejects the first key of PORTCULLIS_ASSERTION_KEYS");
        (Denial::NotConfigured, None)
    })?;
    let forwarded = Forwarded {
        request: &onward,
        caller: caller.as_ref(),
        rules: &gate.policy().headers,
        connection,
        request_id,
        proof,
    };
    let answer = forward(&forwarded).await.map_err(|denial| (denial, None))?;
    let Some(caller) = caller else {
        return Ok(answer);
    };
    let requirement = routed.requirement.into_owned();
    // SECURITY: fails closed. A response that cannot be ended is not sent.
    end_with_token(answer, isolate, context, requirement, caller, request_id)
        .map_err(|_| (Denial::OriginUnreachable, None))
}

/// Path and query of an absolute URL; the platform has already parsed and normalized it.
fn split(url: &str) -> (&str, Option<&str>) {
    // A scheme holds no colon.
    let behind_scheme = url.split_once(':');
    let behind_scheme = behind_scheme.and_then(|(_, rest)| rest.strip_prefix("//"));
    let behind_scheme = behind_scheme.unwrap_or(url);
    let start = behind_scheme.find('/').unwrap_or(behind_scheme.len());
    let target = behind_scheme.get(start..).unwrap_or_default();
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

#[inline(never)]
fn header(headers: &web_sys::Headers, name: &str) -> Option<String> {
    headers.get(name).unwrap_or_default()
}

fn fresh_id() -> Option<Id> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(Id::from_random(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_of_a_url_are_separated() {
        for (url, path, query) in [
            ("https://x.example/", "/", None),
            ("https://x.example/a/b?c=/d?e", "/a/b", Some("c=/d?e")),
            ("https://x.example:8443/a?", "/a", Some("")),
            ("https://x.example/a#b?c", "/a", None),
            ("https://x.example", "", None),
        ] {
            assert_eq!(split(url), (path, query), "{url}");
        }
    }
}
