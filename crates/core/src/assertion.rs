//! The assertion of the edge: a signed statement about one forwarded request, which the origin
//! verifies.
//!
//! A compact JWS ([RFC 7515 §7.1]) with the type `portcullis-assertion+jwt` ([RFC 8725 §3.11]). It
//! is bound to the origin, the method, the target and the public host of the request, and is valid
//! for [`LIFETIME`]. It is not bound to the body.
//!
//! [RFC 7515 §7.1]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
//! [RFC 8725 §3.11]: https://www.rfc-editor.org/rfc/rfc8725#section-3.11

use core::time::Duration;

use crate::id::Id;
use crate::json::Json;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::claims::Claims;
use crate::token::draft::SigningInput;

pub mod signing_keys;
pub mod verification;

/// The type of an assertion (`typ`).
pub const MEDIA_TYPE: &str = "portcullis-assertion+jwt";

/// The lifetime of an assertion: `exp` is `iat` plus this duration.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// The path at which the edge itself publishes its keys.
pub const KEYS_PATH: &str = "/.well-known/portcullis-assertion-keys";

/// The minimum length of the secret that edge and origin share.
pub const MIN_SECRET_BYTES: usize = 32;

/// Whether `secret` has [`MIN_SECRET_BYTES`] or more bytes, all of them visible ASCII.
pub fn is_edge_secret(secret: &str) -> bool {
    secret.len() >= MIN_SECRET_BYTES && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The caller whose token the edge verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The subject (`sub`).
    pub subject: String,
    /// The issuer of the token (`token_iss`).
    pub issuer: String,
    /// The scopes of the token, separated by single spaces (`scope`).
    pub scope: Option<String>,
    /// The session of the token (`sid`).
    pub session: Option<String>,
    /// The roles of the token (`roles`).
    pub roles: Vec<String>,
}

/// The claims of an assertion to be signed.
#[derive(Clone, Debug)]
pub struct AssertionDraft<'r> {
    /// The origin as `scheme://host[:port]` (`aud`).
    pub audience: &'r str,
    /// The time of issue (`iat`).
    pub issued_at: UnixTime,
    /// The request ID (`jti`).
    pub request_id: &'r Id,
    /// The method (`htm`).
    pub method: &'r str,
    /// Path and query as the origin receives them (`htp`).
    pub target: &'r str,
    /// The public host of the request, with its port if it is not the default one (`host`).
    pub host: &'r str,
    /// The claims of the caller's verified token; `None` on an open route.
    pub caller: Option<&'r Claims>,
}

impl AssertionDraft<'_> {
    /// Header and claims as the signing input ([RFC 7515 §5.1]); a shared secret has no `key_id`.
    ///
    /// [RFC 7515 §5.1]: https://www.rfc-editor.org/rfc/rfc7515#section-5.1
    pub fn signing_input(&self, algorithm: Algorithm, key_id: Option<&str>) -> SigningInput {
        let mut header = format!(r#"{{"alg":"{algorithm}","typ":"{MEDIA_TYPE}""#);
        add(&mut header, "kid", key_id);
        header.push('}');
        let mut claims = format!(
            r#"{{"iat":{},"exp":{}"#,
            self.issued_at.as_secs(),
            self.issued_at.plus(LIFETIME).as_secs(),
        );
        let caller = self.caller;
        let scope = caller.map(|caller| caller.scopes.to_string());
        let scope = scope.filter(|scope| !scope.is_empty());
        for (name, value) in [
            ("aud", Some(self.audience)),
            ("jti", Some(self.request_id.as_str())),
            ("htm", Some(self.method)),
            ("htp", Some(self.target)),
            ("host", Some(self.host)),
            ("sub", caller.map(|caller| caller.subject.as_str())),
            ("token_iss", caller.map(|caller| caller.issuer.as_str())),
            ("scope", scope.as_deref()),
            (
                "sid",
                caller.and_then(|caller| caller.session_id.as_deref()),
            ),
        ] {
            add(&mut claims, name, value);
        }
        let mut separator = r#","roles":["#;
        for role in caller.into_iter().flat_map(|caller| caller.roles.iter()) {
            claims.push_str(separator);
            claims.push_str(&Json::quote(role));
            separator = ",";
        }
        if separator == "," {
            claims.push(']');
        }
        claims.push('}');
        SigningInput::new(&header, &claims)
    }
}

/// Adds a member to an unfinished JSON object that already has one.
fn add(object: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        for part in [",\"", name, "\":", &Json::quote(value)] {
            object.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests;
