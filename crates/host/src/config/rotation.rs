//! The caches that a rotation of the signing key waits for, and the algorithm of new keys.
//!
//! The host, the rotation function and the operator's CLI read the same variables, so that all use
//! the same bounds.

use core::time::Duration;

use portcullis_core::keys::rotation::RotationBounds;
use portcullis_core::policy::MAX_STALENESS;
use portcullis_core::token::algorithm::Algorithm;

use crate::config::variable::{Environment, Fault};

/// The maximum of each: one week.
const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The settings of rotations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationConfig {
    /// The lifetimes of the caches.
    pub bounds: RotationBounds,
    /// The time for which a host uses the signing secret before it reads it again.
    pub secret_cache: Duration,
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
}

pub(super) fn rotation(
    env: &mut Environment<'_>,
    access_lifetime: Option<Duration>,
) -> RotationConfig {
    let usual = RotationBounds::default();
    let mut seconds = |variable, least| env.optional(variable, |text| span(text, least));
    let jwks_max_age = seconds("PORTCULLIS_JWKS_MAX_AGE", 1);
    let secret_cache = seconds("PORTCULLIS_SECRET_CACHE", 1);
    let edge = seconds("PORTCULLIS_EDGE_JWKS_MAX_AGE", 1);
    let third_parties = seconds("PORTCULLIS_THIRD_PARTY_CACHE", 0);
    let algorithm = env.optional("PORTCULLIS_SIGNING_ALGORITHM", |text| match text {
        "EdDSA" => Ok(Algorithm::EdDsa),
        "ES256" => Ok(Algorithm::Es256),
        "RS256" => Ok(Algorithm::Rs256),
        _ => Err(Fault::Invalid),
    });
    let jwks_max_age = jwks_max_age.unwrap_or(usual.jwks_max_age);
    let secret_cache = secret_cache.unwrap_or(usual.hosts);
    RotationConfig {
        bounds: RotationBounds {
            edge: edge.unwrap_or(MAX_STALENESS),
            jwks_max_age,
            third_parties: third_parties.unwrap_or(usual.third_parties),
            // While the store is unavailable, a host uses a key document of up to that age.
            hosts: secret_cache.max(jwks_max_age),
            token_lifetime: access_lifetime.unwrap_or(usual.token_lifetime),
        },
        secret_cache,
        algorithm: algorithm.unwrap_or(Algorithm::EdDsa),
    }
}

fn span(text: &str, least: u64) -> Result<Duration, Fault> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (least..=MAX_SECONDS).contains(seconds));
    let fault = Fault::Invalid;
    seconds.map(Duration::from_secs).ok_or(fault)
}
