//! The JWS layer alone: is this token signed by this key? Nothing of its payload is looked at.

use std::borrow::Cow;

use portcullis_core::denial::Denial;
use portcullis_core::keys::jwk::{JwkError, VerifyingKey};
use portcullis_core::keys::set::JwkSet;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_service::ports::{Signatures, UnusableKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;

/// One line: `token` and either `jwk` or `jwks`. Other members are the vector's own affair.
#[derive(Deserialize)]
struct Question<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    token: Option<&'l RawValue>,
    #[serde(borrow)]
    jwk: Option<&'l RawValue>,
    #[serde(borrow)]
    jwks: Option<&'l RawValue>,
}

/// Why a line is rejected.
#[derive(Clone, Copy)]
enum Reason {
    BadLine,
    Key(JwkError),
    Token(Denial),
}

/// Judges `{"id", "token", "jwk" or "jwks"}`, and answers `{"id", "result": "accept"}` or
/// `{"id", "result": "reject", "reason"}`, where `reason` is a [`Denial::code`], `bad_line` for a
/// line that is no such object, or `bad_key_..` for a key that is not acceptable.
///
/// A token names one key of a set by `kid`; a single key is taken at its word unless both it and
/// the token bear a name and the names differ.
pub async fn judge(line: &str, signatures: &impl Signatures) -> String {
    let Ok(question) = serde_json::from_str::<Question<'_>>(line) else {
        return answer::reject("null", Reason::BadLine.code());
    };
    let id = answer::id(question.id);
    match verify(&question, signatures).await {
        Ok(()) => answer::accept(id),
        Err(reason) => answer::reject(id, reason.code()),
    }
}

async fn verify(question: &Question<'_>, signatures: &impl Signatures) -> Result<(), Reason> {
    let token = question.token.ok_or(Reason::BadLine)?;
    let token: Cow<'_, str> =
        Deserialize::deserialize(token).map_err(|_| Reason::BadLine)?;
    let keys = match (question.jwk, question.jwks) {
        (Some(jwk), None) => Keys::One(VerifyingKey::parse(jwk.get().as_bytes())?),
        (None, Some(jwks)) => Keys::Set(JwkSet::parse(jwks.get().as_bytes())?),
        (None, None) | (Some(_), Some(_)) => return Err(Reason::BadLine),
    };
    let jws = Jws::parse(&token)?;
    let key = keys.find(jws.header.key_id.as_deref()).ok_or(Denial::UnknownKey)?;
    let check = SignatureCheck::new(&jws, key)?;
    match signatures.check(&check).await {
        Ok(SignatureVerdict::Valid) => Ok(()),
        Ok(SignatureVerdict::Invalid) => Err(Denial::BadSignature.into()),
        Err(UnusableKey) => Err(Denial::UnusableKey.into()),
    }
}

enum Keys {
    One(VerifyingKey),
    Set(JwkSet),
}

impl Keys {
    fn find(&self, id: Option<&str>) -> Option<&VerifyingKey> {
        match self {
            Self::One(key) => {
                let differs = id.zip(key.id()).is_some_and(|(asked, own)| asked != own);
                (!differs).then_some(key)
            }
            Self::Set(set) => set.find(id),
        }
    }
}

impl Reason {
    const fn code(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::Token(denial) => denial.code(),
            Self::Key(JwkError::Malformed) => "bad_key_form",
            Self::Key(JwkError::UnsupportedType) => "bad_key_type",
            Self::Key(JwkError::BadNumber) => "bad_key_number",
            Self::Key(JwkError::Private) => "bad_key_private",
            Self::Key(JwkError::NotForSignatures) => "bad_key_use",
            Self::Key(JwkError::WrongAlgorithm) => "bad_key_algorithm",
            Self::Key(JwkError::WeakRsa(_)) => "bad_key_rsa",
            Self::Key(JwkError::BadExponent) => "bad_key_exponent",
            Self::Key(JwkError::ShortSecret) => "bad_key_short",
            Self::Key(JwkError::BadKeyId) => "bad_key_id",
        }
    }
}

impl From<Denial> for Reason {
    fn from(denial: Denial) -> Self {
        Self::Token(denial)
    }
}

impl From<JwkError> for Reason {
    fn from(error: JwkError) -> Self {
        Self::Key(error)
    }
}
