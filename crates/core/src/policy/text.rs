//! A policy as it is written: JSON members one to one, then checked into a [`Policy`].

use core::time::Duration;

use serde::Deserialize;

use super::{
    KeySource, MAX_LEEWAY, MAX_STALENESS, OWN_ISSUER, Policy, PolicyError, Staleness, TrustedIssuer,
};
use crate::json::Json;
use crate::keys::jwk::JwkError;
use crate::keys::set::JwkSet;
use crate::route::{Access, Requirement, RoutePattern, Routes};
use crate::token::algorithm::Algorithm;
use crate::token::scope::is_scope;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyText {
    issuers: Vec<IssuerText>,
    routes: Vec<RouteText>,
    revocations: Option<StalenessText>,
    keys: Option<StalenessText>,
    #[serde(default)]
    strip_token: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerText {
    issuer: String,
    audience: Json,
    algorithms: Vec<String>,
    keys: Json,
    profile: String,
    leeway: Option<u64>,
    max_lifetime: Option<u64>,
    max_age: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteText {
    path: String,
    access: String,
    #[serde(default)]
    scopes: Vec<String>,
    serve_stale: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct StalenessText {
    poll: u64,
    soft: u64,
    hard: u64,
}

/// Followed every 5 s, relied on for 10 s, never beyond 30 s.
const REVOCATIONS: StalenessText = StalenessText {
    poll: 5,
    soft: 10,
    hard: 30,
};

/// Keys change seldom and are published long before they sign.
const KEYS: StalenessText = StalenessText {
    poll: 60,
    soft: 300,
    hard: 600,
};

/// The access tokens of our own issuer live 10 minutes.
const MAX_LIFETIME: u64 = 600;

impl PolicyText {
    pub(super) fn parse(json: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(json).map_err(|error| PolicyError::Malformed(error.to_string()))
    }

    pub(super) fn check(self, own_issuer: Option<&str>) -> Result<Policy, PolicyError> {
        let mut issuers: Vec<TrustedIssuer> = Vec::with_capacity(self.issuers.len());
        for text in self.issuers {
            let trusted = text.check(own_issuer)?;
            if issuers.iter().any(|known| known.issuer == trusted.issuer) {
                return Err(PolicyError::Issuers);
            }
            issuers.push(trusted);
        }
        if issuers.is_empty() {
            return Err(PolicyError::Issuers);
        }
        if issuers
            .iter()
            .filter(|known| matches!(known.keys, KeySource::Document))
            .count()
            > 1
        {
            return Err(PolicyError::TwoDocuments);
        }
        let mut routes = Routes::default();
        for text in self.routes {
            text.insert_into(&mut routes)?;
        }
        Ok(Policy {
            issuers,
            routes,
            revocations: self
                .revocations
                .unwrap_or(REVOCATIONS)
                .check("revocations")?,
            keys: self.keys.unwrap_or(KEYS).check("keys")?,
            strip_token: self.strip_token,
        })
    }
}

impl IssuerText {
    fn check(self, own_issuer: Option<&str>) -> Result<TrustedIssuer, PolicyError> {
        let issuer = match (self.issuer.as_str(), own_issuer) {
            (OWN_ISSUER, own) => own.ok_or(PolicyError::NoOwnIssuer)?.to_owned(),
            (_, _) => self.issuer,
        };
        let incomplete = || PolicyError::Issuer(issuer.clone());
        if self.profile != "at+jwt" {
            return Err(PolicyError::Malformed(format!(
                "issuer {issuer}: profile is at+jwt"
            )));
        }
        let algorithms: Option<Vec<_>> = self
            .algorithms
            .iter()
            .map(|name| Algorithm::parse(name))
            .collect();
        let algorithms = algorithms
            .filter(|known| !known.is_empty())
            .ok_or_else(incomplete)?;
        let audience = texts(&self.audience).ok_or_else(incomplete)?;
        let keys =
            key_source(&self.keys).map_err(|error| PolicyError::Keys(issuer.clone(), error))?;
        let symmetric = algorithms.iter().any(|algorithm| algorithm.is_symmetric());
        if symmetric && (algorithms.len() > 1 || matches!(keys, KeySource::Document)) {
            return Err(PolicyError::SharedSecret(issuer));
        }
        let leeway = Duration::from_secs(self.leeway.unwrap_or(0));
        if leeway > MAX_LEEWAY {
            return Err(PolicyError::Range("leeway"));
        }
        let max_lifetime = self.max_lifetime.unwrap_or(MAX_LIFETIME);
        if !(1..=86_400).contains(&max_lifetime) {
            return Err(PolicyError::Range("max_lifetime"));
        }
        Ok(TrustedIssuer {
            issuer,
            audience,
            algorithms,
            keys,
            leeway,
            max_lifetime: Duration::from_secs(max_lifetime),
            max_age: self.max_age.map(Duration::from_secs),
        })
    }
}

impl RouteText {
    fn insert_into(self, routes: &mut Routes) -> Result<(), PolicyError> {
        let Self {
            path,
            access,
            scopes,
            serve_stale,
        } = self;
        let access = match access.as_str() {
            "open" if scopes.is_empty() => Access::Open,
            "token" if scopes.iter().all(|scope| is_scope(scope)) => Access::Token,
            _ => return Err(PolicyError::Requirement(path)),
        };
        let serve_stale = serve_stale.map(Duration::from_secs);
        if serve_stale.is_some_and(|bound| bound > MAX_STALENESS) {
            return Err(PolicyError::Range("serve_stale"));
        }
        let requirement = Requirement {
            access,
            scopes,
            serve_stale,
        };
        match RoutePattern::parse(&path).map(|pattern| routes.insert(pattern, requirement)) {
            Some(true) => Ok(()),
            Some(false) | None => Err(PolicyError::Route(path)),
        }
    }
}

impl StalenessText {
    fn check(self, name: &'static str) -> Result<Staleness, PolicyError> {
        let Self { poll, soft, hard } = self;
        let sound = 1 <= poll && poll <= soft && soft <= hard && hard <= MAX_STALENESS.as_secs();
        if !sound {
            return Err(PolicyError::Range(name));
        }
        let secs = Duration::from_secs;
        Ok(Staleness {
            poll: secs(poll),
            soft: secs(soft),
            hard: secs(hard),
        })
    }
}

/// One text, or an array of at least one.
fn texts(json: &Json) -> Option<Vec<String>> {
    if let Some(one) = json.as_text() {
        return Some(vec![one.to_owned()]);
    }
    let many: Option<Vec<_>> = json
        .as_array()?
        .iter()
        .map(|one| one.as_text().map(str::to_owned))
        .collect();
    many.filter(|many| !many.is_empty())
}

fn key_source(json: &Json) -> Result<KeySource, JwkError> {
    if json.as_text() == Some("document") {
        return Ok(KeySource::Document);
    }
    let set = JwkSet::from_json(json)?;
    // A policy is written by hand: a set in which nothing is of use is a mistake.
    if set.keys().is_empty() || set.keys().iter().any(|key| key.id().is_none()) {
        return Err(JwkError::Malformed);
    }
    Ok(KeySource::Fixed(set))
}
