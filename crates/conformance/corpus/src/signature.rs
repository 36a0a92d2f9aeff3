//! The JWS layer alone: verifies that a key signed a token or a text. It ignores the payload.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use portcullis_core::denial::Denial;
use portcullis_core::keys::jwk::{JwkError, VerifyingKey};
use portcullis_core::keys::set::JwkSet;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::jws::{Header, Jws};
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_service::ports::{SignatureVerifier, UnusableKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;

/// One line. Other members belong only to the test vector.
#[derive(Deserialize)]
struct Question<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    token: Option<&'l RawValue>,
    #[serde(borrow)]
    raw: Option<Raw<'l>>,
    #[serde(borrow)]
    jwk: Option<&'l RawValue>,
    #[serde(borrow)]
    jwks: Option<&'l RawValue>,
}

/// A signature over any text, with or without the form of a token.
#[derive(Deserialize)]
struct Raw<'l> {
    #[serde(borrow)]
    alg: Cow<'l, str>,
    #[serde(borrow)]
    input: Cow<'l, str>,
    #[serde(borrow)]
    signature: Cow<'l, str>,
}

/// The reason for a rejected line.
#[derive(Clone, Copy)]
enum Reason {
    BadLine,
    Key(JwkError),
    Token(Denial),
}

/// Verifies `{"id", "token", "jwk" or "jwks"}`. Returns `{"id", "result": "accept"}` or
/// `{"id", "result": "reject", "reason"}`, where `reason` is a [`Denial::code`], `bad_line` for a
/// line of another format, or `bad_key_..` for an invalid key.
///
/// A token selects one key of a set by `kid`. A single key is accepted unless both it and the token
/// have a `kid` and these differ. `token` may be replaced by
/// `"raw": {"alg", "input", "signature"}`: the input as text, the signature in hexadecimal.
pub async fn answer_line(line: &str, signatures: &impl SignatureVerifier) -> String {
    let Ok(question) = serde_json::from_str::<Question<'_>>(line) else {
        return answer::reject("null", Reason::BadLine.code());
    };
    let id = answer::id(question.id);
    match verify(&question, signatures).await {
        Ok(()) => answer::accept(id),
        Err(reason) => answer::reject(id, reason.code()),
    }
}

async fn verify(
    question: &Question<'_>,
    signatures: &impl SignatureVerifier,
) -> Result<(), Reason> {
    let keys = match (question.jwk, question.jwks) {
        (Some(jwk), None) => Keys::One(VerifyingKey::parse(jwk.get().as_bytes())?),
        (None, Some(jwks)) => Keys::Set(JwkSet::parse(jwks.get().as_bytes())?),
        (None, None) | (Some(_), Some(_)) => return Err(Reason::BadLine),
    };
    let text: Cow<'_, str>;
    let jws = match (question.token, &question.raw) {
        (Some(token), None) => {
            text = Deserialize::deserialize(token).map_err(|_| Reason::BadLine)?;
            Jws::parse(&text)?
        }
        (None, Some(raw)) => raw.to_jws()?,
        (None, None) | (Some(_), Some(_)) => return Err(Reason::BadLine),
    };
    let key = keys
        .find(jws.header.key_id.as_deref())
        .ok_or(Denial::UnknownKey)?;
    let check = SignatureCheck::new(&jws, key)?;
    match signatures.check(&check).await {
        Ok(SignatureVerdict::Valid) => Ok(()),
        Ok(SignatureVerdict::Invalid) => Err(Denial::BadSignature.into()),
        Err(UnusableKey) => Err(Denial::UnusableKey.into()),
    }
}

impl Raw<'_> {
    /// The raw input in the form of a parsed token.
    fn to_jws(&self) -> Result<Jws<'_>, Reason> {
        Ok(Jws {
            header: Header {
                algorithm: Algorithm::parse(&self.alg).ok_or(Denial::UnsupportedAlgorithm)?,
                key_id: None,
                media_type: None,
            },
            payload: vec![],
            signature: HEXLOWER
                .decode(self.signature.as_bytes())
                .map_err(|_| Reason::BadLine)?,
            signing_input: &self.input,
        })
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

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    /// Returns a fixed verdict, so that the tests cover only the path to the verifier.
    struct Says(Result<SignatureVerdict, UnusableKey>);

    impl SignatureVerifier for Says {
        async fn check(&self, _: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
            self.0
        }
    }

    const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.AAAA";
    const JWK: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn answer(line: &str, verdict: Result<SignatureVerdict, UnusableKey>) -> String {
        let says = Says(verdict);
        match pin!(answer_line(line, &says)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the future never waits"),
        }
    }

    #[test]
    fn the_result_has_the_unchanged_id_of_the_line() {
        for (id, given) in [
            ("1", "1"),
            ("-1.50e7", "-1.50e7"),
            (r#""\u0061 \"x""#, r#""\u0061 \"x""#),
            ("null", "null"),
            ("null", "[1]"),
            ("null", r#"{"a":1}"#),
            ("null", "true"),
        ] {
            let line = format!(r#"{{"id":{given},"token":"{TOKEN}","jwk":{JWK},"more":[]}}"#);
            assert_eq!(
                answer(&line, Ok(SignatureVerdict::Valid)),
                format!(r#"{{"id":{id},"result":"accept"}}"#)
            );
            assert_eq!(
                answer(&line, Ok(SignatureVerdict::Invalid)),
                format!(r#"{{"id":{id},"result":"reject","reason":"bad_signature"}}"#)
            );
            assert_eq!(
                answer(&line, Err(UnusableKey)),
                format!(r#"{{"id":{id},"result":"reject","reason":"unusable_key"}}"#)
            );
        }
    }

    #[test]
    fn an_invalid_line_is_rejected_with_its_id_if_present() {
        let bad = |line: &str| answer(line, Ok(SignatureVerdict::Valid));
        let reported = |id: &str, reason: &str| {
            format!(r#"{{"id":{id},"result":"reject","reason":"{reason}"}}"#)
        };
        for line in [
            "",
            "{",
            "[]",
            "7",
            "{}",
            r#"{"token":1}"#,
            r#"{"id":1,"id":1}"#,
        ] {
            assert_eq!(bad(line), reported("null", "bad_line"), "{line}");
        }
        for (line, reason) in [
            (r#"{"id":1}"#.to_owned(), "bad_line"),
            (format!(r#"{{"id":1,"token":"{TOKEN}"}}"#), "bad_line"),
            (format!(r#"{{"id":1,"jwk":{JWK}}}"#), "bad_line"),
            (format!(r#"{{"id":1,"token":7,"jwk":{JWK}}}"#), "bad_line"),
            (
                format!(r#"{{"id":1,"token":"\ud800","jwk":{JWK}}}"#),
                "bad_line",
            ),
            (
                format!(r#"{{"id":1,"token":"","jwk":{JWK}}}"#),
                "malformed_token",
            ),
            (
                format!(r#"{{"id":1,"token":"{TOKEN}","jwk":[]}}"#),
                "bad_key_form",
            ),
            (
                format!(r#"{{"id":1,"token":"{TOKEN}","jwk":null}}"#),
                "bad_line",
            ),
            (
                format!(r#"{{"id":1,"token":"{TOKEN}","jwks":{{"keys":[]}}}}"#),
                "unknown_key",
            ),
            (
                format!(r#"{{"id":1,"token":"{TOKEN}","jwks":{{"keys":[{JWK}]}}}}"#),
                "unknown_key",
            ),
        ] {
            assert_eq!(bad(&line), reported("1", reason), "{line}");
        }
    }

    #[test]
    fn a_single_key_matches_without_kid_but_not_with_another_kid() {
        for (name, result) in [
            ("", "accept"),
            (r#""kid":"a","#, "accept"),
            (r#""kid":"b","#, "reject"),
        ] {
            let jwk = JWK.replacen('{', &format!("{{{name}"), 1);
            let line = format!(r#"{{"token":"{TOKEN}","jwk":{jwk}}}"#);
            let answer = answer(&line, Ok(SignatureVerdict::Valid));
            assert!(answer.contains(result), "{name}: {answer}");
        }
    }
}
