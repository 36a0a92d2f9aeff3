//! The decision of a gate about a token.

use portcullis_core::denial::Denial;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::ring::KeyRing;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::policy::{KeySource, Policy};
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::verifier::{Verified, Verifier};
use portcullis_jwt::NativeVerifier;
use serde_json::{Value, json};

/// The keys for the signature check.
#[derive(Debug)]
pub(crate) enum Keys {
    Document(KeyDocument),
    Set(JwkSet),
    One(Box<VerifyingKey>),
}

/// The verdict about a token on the basis of the given inputs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenVerdict {
    /// A gate accepts it; revocations are not checked.
    Accepted,
    /// All checks but the signature passed; no key was given.
    Unchecked,
    /// The format is valid; no policy was given.
    WellFormed,
    /// A gate rejects it.
    Refused(Denial),
}

impl TokenVerdict {
    pub(super) fn of(
        token: &str,
        policy: Option<&Policy>,
        keys: Option<&Keys>,
        now: UnixTime,
    ) -> Self {
        let verdict = match policy {
            None => well_formed(token),
            Some(policy) => decide(token, policy, keys, now),
        };
        verdict.unwrap_or_else(Self::Refused)
    }

    pub(super) const fn passes(self) -> bool {
        match self {
            Self::Accepted | Self::Unchecked | Self::WellFormed => true,
            Self::Refused(_) => false,
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Accepted => {
                "accepted: the signature is valid and the policy accepts the token; revocations were not checked"
                    .to_owned()
            }
            Self::Unchecked => {
                "the policy accepts the token if its signature is valid; give --keys to verify that".to_owned()
            }
            Self::WellFormed => {
                "well-formed; give --policy and --keys to verify it".to_owned()
            }
            Self::Refused(denial) => format!("refused: {} ({})", denial.detail(), denial.code()),
        }
    }

    pub(super) fn json(self) -> Value {
        let word = match self {
            Self::Accepted => "accepted",
            Self::Unchecked => "signature_unchecked",
            Self::WellFormed => "well_formed",
            Self::Refused(denial) => {
                return json!({"outcome": "refused", "code": denial.code(), "detail": denial.detail()});
            }
        };
        json!({"outcome": word})
    }
}

fn well_formed(token: &str) -> Result<TokenVerdict, Denial> {
    let jws = Jws::parse(token)?;
    Claims::parse(&jws.payload)?;
    Ok(TokenVerdict::WellFormed)
}

fn decide(
    token: &str,
    policy: &Policy,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Result<TokenVerdict, Denial> {
    Ok(match verify(token, policy, keys, now)? {
        Some(_) => TokenVerdict::Accepted,
        None => TokenVerdict::Unchecked,
    })
}

/// Verifies `token` at `now`; `None` if all checks but the signature passed and no key is given.
pub(crate) fn verify(
    token: &str,
    policy: &Policy,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Result<Option<Verified<Claims>>, Denial> {
    let mut ring = KeyRing::default();
    let mut has_keys = false;
    for trusted in &policy.issuers {
        match (&trusted.keys, keys) {
            (KeySource::Fixed(set), _) => ring.put_set(&trusted.issuer, set),
            (KeySource::Document, Some(keys)) => put(&mut ring, &trusted.issuer, keys),
            (KeySource::Document, None) => continue,
        }
        has_keys = true;
    }
    let inspected = match Verifier::new(&policy.issuers).inspect(token, &ring, now) {
        Ok(inspected) => inspected,
        // The key lookup is the last check before the signature: all earlier checks passed.
        Err(Denial::UnknownKey) if !has_keys => return Ok(None),
        Err(denial) => return Err(denial),
    };
    let check = inspected.check()?;
    let valid = NativeVerifier
        .check_now(&check)
        .map_err(|_| Denial::UnusableKey)?;
    inspected.accept(valid).map(Some)
}

fn put(ring: &mut KeyRing, issuer: &str, keys: &Keys) {
    match keys {
        Keys::Document(document) => ring.put_document(issuer, document),
        Keys::Set(set) => ring.put_set(issuer, set),
        Keys::One(key) => {
            let document = KeyDocument::default().with((**key).clone(), UnixTime::default());
            ring.put_document(issuer, &document);
        }
    }
}
