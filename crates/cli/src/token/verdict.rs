//! What a gate would say to a token.

use portcullis_core::denial::Denial;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::ring::KeyRing;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::policy::{KeySource, Policy};
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::signature::SignatureVerdict;
use portcullis_core::token::verifier::Verifier;
use portcullis_jwt::NativeVerifier;
use serde_json::{Value, json};

/// Keys to check a signature with.
#[derive(Debug)]
pub(super) enum Keys {
    Document(KeyDocument),
    Set(JwkSet),
    One(Box<VerifyingKey>),
}

/// What can be said about a token, with what was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TokenVerdict {
    /// A gate that reads no revocation lets it in.
    Accepted,
    /// All but its signature is good; there was no key to check that with.
    Unchecked,
    /// Its form is good; there was no policy to judge it by.
    WellFormed,
    /// A gate refuses it.
    Refused(Denial),
}

impl TokenVerdict {
    pub(super) fn of(
        token: &str,
        policy: Option<&Policy>,
        keys: Option<&Keys>,
        now: UnixTime,
    ) -> Self {
        let judged = match policy {
            None => well_formed(token),
            Some(policy) => judge(token, policy, keys, now),
        };
        judged.unwrap_or_else(Self::Refused)
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
                "accepted: its signature is good and the policy takes it; revocations were not looked at"
                    .to_owned()
            }
            Self::Unchecked => {
                "the policy takes it if its signature is good; give --keys to check that".to_owned()
            }
            Self::WellFormed => {
                "well-formed; give --policy and --keys to have it judged".to_owned()
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

fn judge(
    token: &str,
    policy: &Policy,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Result<TokenVerdict, Denial> {
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
        // The last question before the signature: everything before it was answered.
        Err(Denial::UnknownKey) if !has_keys => return Ok(TokenVerdict::Unchecked),
        Err(denial) => return Err(denial),
    };
    let check = inspected.check()?;
    let valid = NativeVerifier
        .check_now(&check)
        .map_err(|_| Denial::UnusableKey)?;
    match valid {
        SignatureVerdict::Valid => Ok(TokenVerdict::Accepted),
        SignatureVerdict::Invalid => Err(Denial::BadSignature),
    }
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
