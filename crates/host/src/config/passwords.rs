//! The settings of passwords.

use portcullis_core::password::PasswordHash;
use portcullis_service::settings::PasswordRules;

use crate::config::variable::{Environment, Fault, plain_or_loopback};
use crate::hasher::{HashRules, is_readable};
use crate::screen::{BreachFailMode, BreachRange};
use crate::settings::PORTCULLIS_PWNED_PASSWORDS_URL;

/// The maximum number of names of a service, and the maximum length of one in characters.
const MAX_NAMES: usize = 16;
const MAX_NAME_CHARACTERS: usize = 64;

/// The rules for new passwords. Without configured names, the labels of the issuer's host are the
/// names.
pub(super) fn rules(env: &mut Environment<'_>, issuer: Option<&str>) -> PasswordRules {
    let services = env.optional("PORTCULLIS_BRAND_NAMES", |text| {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let fits = names.len() <= MAX_NAMES
            && names
                .iter()
                .all(|name| (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count()));
        let fault = Fault::Invalid;
        fits.then_some(names).ok_or(fault)
    });
    let least_score = env.optional("PORTCULLIS_PASSWORD_SCORE", |text| {
        let score = text.parse().ok().filter(|score| *score <= 4);
        score.ok_or(Fault::Invalid)
    });
    PasswordRules {
        services: services.unwrap_or_else(|| issuer.map(host_labels).unwrap_or_default()),
        least_score: least_score.unwrap_or(0),
    }
}

/// Password hashing beyond the current parameters.
pub(super) fn hashing(env: &mut Environment<'_>) -> HashRules {
    let pepper = env.optional("PORTCULLIS_PEPPER", |text| match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::Invalid),
    });
    let former = env.optional("PORTCULLIS_LEGACY_HASH_SAMPLE", |text| {
        let hash = PasswordHash::parse(text).ok().filter(is_readable);
        hash.ok_or(Fault::Invalid)
    });
    HashRules {
        pepper: pepper.unwrap_or(false),
        former,
    }
}

/// The memory limit of all concurrent hashes, in MiB: the setting, or half of the Lambda's memory.
pub(super) fn hash_memory(env: &mut Environment<'_>) -> Option<u32> {
    let said = env.optional("PORTCULLIS_HASH_MEMORY", |text| {
        let mib = text.parse().ok().filter(|mib| (32..=65_536).contains(mib));
        mib.ok_or(Fault::Invalid)
    });
    // The reader of the listen mode reports an invalid Lambda size.
    said.or_else(|| {
        let size = env.optional("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", |text| {
            Ok(text.parse::<u32>().ok())
        });
        size.flatten().map(|size| size / 2)
    })
}

/// The breached-password service, if one is set.
pub(super) fn breaches(env: &mut Environment<'_>) -> Option<BreachRange> {
    let address = env.optional(PORTCULLIS_PWNED_PASSWORDS_URL, |text| {
        let text = plain_or_loopback(text)?;
        let fault = Fault::Invalid;
        text.ends_with('/').then_some(text).ok_or(fault)
    });
    let unreachable = env.optional("PORTCULLIS_PWNED_PASSWORDS_FAIL_MODE", |text| match text {
        "open" => Ok(BreachFailMode::Open),
        "closed" => Ok(BreachFailMode::Closed),
        _ => Err(Fault::Invalid),
    });
    Some(BreachRange::new(address?, unreachable.unwrap_or_default()))
}

/// `login` and `acme` of `https://login.acme.example/tenant`; the top-level domain belongs to no
/// service.
fn host_labels(issuer: &str) -> Vec<String> {
    let uri: Option<http::Uri> = issuer.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let own = host.rsplit_once('.').map_or("", |(own, _top)| own);
    own.split('.').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_brand_names_are_the_labels_of_the_issuers_host() {
        assert_eq!(
            host_labels("https://login.acme.example/t"),
            ["login", "acme"]
        );
        assert_eq!(host_labels("http://localhost:8788"), [""]);
    }
}
