//! Parses the JSON text of a policy into a checked [`Policy`].

use core::time::Duration;
use std::sync::Arc;

use super::members::Members;
use super::{
    KeySource, MAX_LEEWAY, MAX_LIFETIME, MAX_STALENESS, OWN_ISSUER, Policy, PolicyError, Staleness,
    TrustedIssuer,
};
use crate::cors::{AllowedOrigins, CorsRules, MAX_PREFLIGHT_AGE, Origin};
use crate::forwarding::{DEFAULT_IDENTITY_PREFIX, HeaderRules, REQUEST_ID_HEADER};
use crate::json::Json;
use crate::keys::jwk::JwkError;
use crate::keys::set::JwkSet;
use crate::resource::{Resource, ResourceMetadata};
use crate::route::{
    Access, AnyOf, Requirement, RevocationMode, Route, RoutePattern, Routes, is_reflecting,
};
use crate::token::algorithm::Algorithm;
use crate::token::scope::is_scope;

/// Refreshed every 5 s, used for 10 s, never used beyond 30 s.
const REVOCATIONS: Staleness = staleness(5, 10, 30);

/// Keys change rarely and are published long before they sign.
const KEYS: Staleness = staleness(60, 300, 600);

/// Access tokens of this deployment's own issuer live 10 minutes.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(600);

/// The time for which browsers keep a preflight response.
const DEFAULT_PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The maximum length of a role, in characters.
const MAX_ROLE_CHARS: usize = 128;

/// The headers of a refusal that a page may need to read.
const EXPOSED_BY_THE_EDGE: [&str; 3] = ["www-authenticate", "retry-after", REQUEST_ID_HEADER];

const fn staleness(poll: u64, soft: u64, hard: u64) -> Staleness {
    Staleness {
        poll: Duration::from_secs(poll),
        soft: Duration::from_secs(soft),
        hard: Duration::from_secs(hard),
    }
}

pub(super) fn parse(json: &str, own_issuer: Option<&str>) -> Result<Policy, PolicyError> {
    let json = Json::parse(json.as_bytes()).map_err(|_| PolicyError::NotJson)?;
    let mut members = Members::of(json, "")?;
    let mut issuers: Vec<TrustedIssuer> = Vec::new();
    for text in members.objects("issuers")? {
        let trusted = issuer(text, own_issuer)?;
        if issuers.iter().any(|known| known.issuer == trusted.issuer) {
            return Err(PolicyError::Issuers);
        }
        issuers.push(trusted);
    }
    if issuers.is_empty() {
        return Err(PolicyError::Issuers);
    }
    let documents = issuers
        .iter()
        .filter(|known| matches!(known.keys, KeySource::Document));
    if documents.count() > 1 {
        return Err(PolicyError::TwoDocuments);
    }
    let suffixes = members.texts_that(
        "format_suffixes",
        is_format_suffix,
        "suffixes such as .json",
    )?;
    let cors = members.object("cors")?.map(cors_rules).transpose()?;
    let cors = cors.map(Arc::new);
    let mut routes = Routes::with_format_suffixes(suffixes).with_cors(cors.clone());
    let resource = members.optional_text("resource")?;
    let resource = resource.map(resource_of).transpose()?;
    for text in members.objects("routes")? {
        route(text, &mut routes, cors.as_ref(), resource.as_ref())?;
    }
    let published = published(&issuers, &routes)?;
    routes.reserve(published.iter().map(|one| one.path.clone()).collect());
    let policy = Policy {
        published,
        issuers,
        routes,
        revocations: ageing(&mut members, "revocations", REVOCATIONS)?,
        keys: ageing(&mut members, "keys", KEYS)?,
        headers: header_rules(&mut members)?,
    };
    members.end()?;
    Ok(policy)
}

fn issuer(mut members: Members, own_issuer: Option<&str>) -> Result<TrustedIssuer, PolicyError> {
    let named = members.text("issuer")?;
    let issuer = match (named.as_str(), own_issuer) {
        (OWN_ISSUER, own) => own.ok_or(PolicyError::NoOwnIssuer)?.to_owned(),
        (_, _) => named,
    };
    let incomplete = || PolicyError::Issuer(issuer.clone());
    let some = |texts: &Vec<String>| !texts.is_empty() && texts.iter().all(|text| !text.is_empty());
    if issuer.is_empty() {
        return Err(incomplete());
    }
    if members.text("profile")? != "at+jwt" {
        return Err(PolicyError::Profile(issuer));
    }
    let algorithms = members
        .texts("algorithms")?
        .filter(some)
        .ok_or_else(incomplete)?;
    let algorithms: Option<Vec<_>> = algorithms
        .iter()
        .map(|name| Algorithm::parse(name))
        .collect();
    let algorithms = algorithms.ok_or_else(incomplete)?;
    let audience = members
        .texts("audience")?
        .filter(some)
        .ok_or_else(incomplete)?;
    let keys = key_source(&members.required("keys")?)
        .map_err(|error| PolicyError::Keys(issuer.clone(), error))?;
    if let KeySource::Fixed(set) = &keys
        && !set.keys().iter().any(|key| key.allows_any(&algorithms))
    {
        return Err(PolicyError::Keys(issuer, JwkError::WrongAlgorithm));
    }
    let symmetric = algorithms.iter().any(|algorithm| algorithm.is_symmetric());
    if symmetric && (algorithms.len() > 1 || matches!(keys, KeySource::Document)) {
        return Err(PolicyError::SharedSecret(issuer));
    }
    let leeway = members.seconds("leeway")?.unwrap_or_default();
    if leeway > MAX_LEEWAY {
        return Err(PolicyError::Range("leeway"));
    }
    let max_lifetime = members
        .seconds("max_lifetime")?
        .unwrap_or(DEFAULT_MAX_LIFETIME);
    if max_lifetime.is_zero() || max_lifetime > MAX_LIFETIME {
        return Err(PolicyError::Range("max_lifetime"));
    }
    let max_age = members.seconds("max_age")?;
    members.end()?;
    Ok(TrustedIssuer {
        issuer,
        audience,
        algorithms,
        keys,
        leeway,
        max_lifetime,
        max_age,
    })
}

fn route(
    mut members: Members,
    routes: &mut Routes,
    cors: Option<&Arc<CorsRules>>,
    resource: Option<&Arc<Resource>>,
) -> Result<(), PolicyError> {
    let path = members.text("path")?;
    let scopes = members.texts("scopes")?.unwrap_or_default();
    let access = match members.text("access")?.as_str() {
        "open" if scopes.is_empty() => Access::Open,
        "token" if scopes.iter().all(|scope| is_scope(scope)) => Access::Token,
        _ => return Err(PolicyError::Requirement(path)),
    };
    let access = match (members.optional_text("identity")?.as_deref(), access) {
        (None, access) => access,
        (Some("if_present"), Access::Open) => Access::Optional,
        (Some(_), _) => return Err(PolicyError::Identity(path)),
    };
    let serve_stale = members.seconds("serve_stale")?;
    if serve_stale.is_some_and(|bound| bound > MAX_STALENESS) {
        return Err(PolicyError::Range("serve_stale"));
    }
    let revocation = match (members.optional_text("revocation")?.as_deref(), access) {
        (None, _) | (Some("feed"), Access::Token) => RevocationMode::Feed,
        (Some("lookup"), Access::Token) => RevocationMode::Lookup,
        (Some(_), _) => return Err(PolicyError::Requirement(path)),
    };
    let scopes_any = members.texts_that("scopes_any", is_scope, "scope tokens, at least one")?;
    let roles = members.texts_that(
        "roles",
        is_role,
        "roles of 1 to 128 characters without control characters, at least one",
    )?;
    let mut any_of = Vec::new();
    if !scopes_any.is_empty() {
        any_of.push(AnyOf::Scopes(scopes_any));
    }
    if !roles.is_empty() {
        any_of.push(AnyOf::Roles(roles));
    }
    if access != Access::Token && !any_of.is_empty() {
        return Err(PolicyError::Requirement(path));
    }
    let methods = members.texts_that(
        "methods",
        is_method,
        "methods in upper case, without TRACE and CONNECT",
    )?;
    let exact = members.switch_or("exact", false)?;
    let encoded_slash = members.switch_or("encoded_slash", false)?;
    let cors = match members.object_or_false("cors")? {
        None => cors.cloned(),
        Some(None) => None,
        Some(Some(own)) => Some(Arc::new(cors_rules(own)?)),
    };
    let upgrade = members.switch_or("upgrade", false)?;
    let resource = match (members.text_or_false("resource")?, access) {
        (None, Access::Token) => resource.cloned(),
        (None | Some(None), _) => None,
        (Some(Some(own)), Access::Token) => Some(resource_of(own)?),
        (Some(Some(own)), Access::Open | Access::Optional) => {
            return Err(PolicyError::Resource(own));
        }
    };
    members.end()?;
    // A WebSocket is checked by the feed while it is open.
    if upgrade && revocation == RevocationMode::Lookup {
        return Err(PolicyError::Upgrade(path));
    }
    if RoutePattern::has_parameter(&path) {
        return Err(PolicyError::RouteParameter(path));
    }
    let requirement = Requirement {
        access,
        scopes,
        any_of,
        serve_stale,
        revocation,
        methods,
        cors,
        upgrade,
        resource,
    };
    let Some(pattern) = RoutePattern::parse(&path) else {
        return Err(PolicyError::Route(path));
    };
    let mut route = Route::new(pattern, requirement);
    route.exact = exact;
    route.encoded_slash = encoded_slash;
    if !route.is_reachable() {
        return Err(PolicyError::Unreachable(path));
    }
    if routes.insert(route) {
        Ok(())
    } else {
        Err(PolicyError::Route(path))
    }
}

fn resource_of(identifier: String) -> Result<Arc<Resource>, PolicyError> {
    let resource = Resource::parse(&identifier).map(Arc::new);
    resource.ok_or(PolicyError::Resource(identifier))
}

/// The metadata of each resource of `routes`.
fn published(
    issuers: &[TrustedIssuer],
    routes: &Routes,
) -> Result<Vec<ResourceMetadata>, PolicyError> {
    let mut published: Vec<ResourceMetadata> = Vec::new();
    let mut known: Vec<&Arc<Resource>> = Vec::new();
    for resource in routes
        .iter()
        .filter_map(|route| route.requirement.resource.as_ref())
    {
        if known.contains(&resource) {
            continue;
        }
        let of_resource = |trusted: &&TrustedIssuer| {
            let mut audience = trusted.audience.iter();
            audience.any(|name| name == resource.identifier())
        };
        let servers = issuers.iter().filter(of_resource);
        let servers: Vec<_> = servers.map(|trusted| trusted.issuer.as_str()).collect();
        // Each once, in the order of the routes.
        let mut named = String::new();
        for route in routes.iter() {
            let requirement = &route.requirement;
            if requirement.resource.as_ref() == Some(resource) {
                named.push_str(&requirement.named_scopes());
                named.push(' ');
            }
        }
        let mut scopes: Vec<&str> = Vec::new();
        for scope in named.split(' ') {
            if !scope.is_empty() && !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let metadata = resource.metadata(&servers, &scopes);
        if servers.is_empty() || published.iter().any(|one| one.path == metadata.path) {
            let identifier = resource.identifier().to_owned();
            return Err(PolicyError::Resource(identifier));
        }
        known.push(resource);
        published.push(metadata);
    }
    Ok(published)
}

fn is_role(name: &str) -> bool {
    (1..=MAX_ROLE_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn is_method(method: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    !method.is_empty() && method.bytes().all(is_letter) && !is_reflecting(method)
}

fn cors_rules(mut members: Members) -> Result<CorsRules, PolicyError> {
    let names = members.texts("origins")?.unwrap_or_default();
    let credentials = members.switch_or("credentials", false)?;
    let origins = match names.as_slice() {
        [] => return Err(PolicyError::Cors),
        // SECURITY: every page with credentials would be every page with the user's rights.
        [any] if any == "*" && credentials => return Err(PolicyError::Cors),
        [any] if any == "*" => AllowedOrigins::Any,
        names => {
            let mut origins = Vec::new();
            for name in names {
                origins.push(Origin::parse(name).ok_or(PolicyError::Cors)?);
            }
            AllowedOrigins::Listed {
                origins,
                credentials,
            }
        }
    };
    let methods = members.texts_that(
        "methods",
        is_method,
        "methods in upper case, without TRACE and CONNECT",
    )?;
    let named = "names of headers";
    let mut headers = members.texts_that("headers", is_header_name, named)?;
    if headers.is_empty() {
        headers.extend(["authorization", "content-type"].map(str::to_owned));
    }
    let mut exposed = members.texts_that("expose", is_header_name, named)?;
    exposed.extend(EXPOSED_BY_THE_EDGE.map(str::to_owned));
    let max_age = members.seconds("max_age")?.unwrap_or(DEFAULT_PREFLIGHT_AGE);
    members.end()?;
    if max_age > MAX_PREFLIGHT_AGE {
        return Err(PolicyError::Range("max_age"));
    }
    Ok(CorsRules {
        origins,
        methods,
        headers,
        exposed,
        max_age,
    })
}

// `*` is no name: with credentials it means a header of this name.
fn is_header_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(is_letter)
}

fn is_format_suffix(suffix: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let format = suffix.strip_prefix('.');
    format.is_some_and(|format| !format.is_empty() && format.bytes().all(is_letter))
}

fn header_rules(members: &mut Members) -> Result<HeaderRules, PolicyError> {
    let strip_token = members.switch_or("strip_token", true)?;
    let mut rules = HeaderRules::default();
    if let Some(mut text) = members.object("headers")? {
        let prefix = text.optional_text("identity_prefix")?;
        let prefix = prefix.as_deref().unwrap_or(DEFAULT_IDENTITY_PREFIX);
        let mut names = |member| {
            let names = text.texts(member)?.unwrap_or_default();
            Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect())
        };
        rules =
            HeaderRules::new(prefix, names("pass")?, names("drop")?).ok_or(PolicyError::Headers)?;
        if let Some(claims) = text.object("claims")? {
            let claims = claims.texts_by_name()?;
            rules = rules.with_claims(claims).ok_or(PolicyError::ClaimHeaders)?;
        }
        rules.forwarded = text.switch_or("forwarded", false)?;
        rules.open_authorization = text.switch_or("open_authorization", false)?;
        text.end()?;
    }
    rules.strip_token = strip_token;
    Ok(rules)
}

fn ageing(
    members: &mut Members,
    name: &'static str,
    usual: Staleness,
) -> Result<Staleness, PolicyError> {
    let Some(mut text) = members.object(name)? else {
        return Ok(usual);
    };
    let given = Staleness {
        poll: text.seconds("poll")?.unwrap_or(usual.poll),
        soft: text.seconds("soft")?.unwrap_or(usual.soft),
        hard: text.seconds("hard")?.unwrap_or(usual.hard),
    };
    text.end()?;
    let ordered = given.poll <= given.soft && given.soft <= given.hard;
    if given.poll.is_zero() || !ordered || given.hard > MAX_STALENESS {
        return Err(PolicyError::Range(name));
    }
    Ok(given)
}

fn key_source(json: &Json) -> Result<KeySource, JwkError> {
    if json.as_text() == Some("document") {
        return Ok(KeySource::Document);
    }
    let set = JwkSet::from_json(json)?;
    // Operators write policies manually, so a set without a supported key is a mistake.
    if set.keys().is_empty() || set.keys().iter().any(|key| key.id().is_none()) {
        return Err(JwkError::Malformed);
    }
    Ok(KeySource::Fixed(set))
}
