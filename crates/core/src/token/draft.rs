//! This issuer's own access tokens, before and after signing.

use core::fmt;
use core::time::Duration;

use crate::account_claims::AccountClaims;
use crate::base64url;
use crate::id::Id;
use crate::json::Json;
use crate::secret::Secret;
use crate::session::Methods;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;

/// The claims of an access token to be issued ([RFC 9068 §2.2]).
///
/// [RFC 9068 §2.2]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2
#[derive(Clone, Debug)]
pub struct AccessTokenDraft {
    /// This issuer (`iss`).
    pub issuer: String,
    /// The user (`sub`).
    pub subject: Id,
    /// The audience (`aud`).
    pub audience: String,
    /// The client that the token is issued to (`client_id`).
    pub client_id: String,
    /// The token identifier (`jti`).
    pub token_id: Id,
    /// The session identifier (`sid`).
    pub session_id: Id,
    /// The token generation of the subject (`gen`).
    pub generation: u64,
    /// The time of the password check (`auth_time`).
    pub authenticated_at: UnixTime,
    /// The authentication methods used then (`amr`).
    pub methods: Methods,
    /// The time of issue (`iat`).
    pub issued_at: UnixTime,
    /// The lifetime: `exp` is `iat` plus this duration.
    pub lifetime: Duration,
    /// The scopes (`scope`), roles (`roles`) and custom claims of the account.
    pub account: AccountClaims,
}

/// The signing input: encoded header and payload, separated by a dot.
#[derive(Clone)]
pub struct SigningInput(String);

impl AccessTokenDraft {
    /// The expiry time of the token.
    pub const fn expires_at(&self) -> UnixTime {
        self.issued_at.plus(self.lifetime)
    }

    /// Header and claims as the signing input ([RFC 7515 §5.1]) for the key `key_id`.
    ///
    /// [RFC 7515 §5.1]: https://www.rfc-editor.org/rfc/rfc7515#section-5.1
    pub fn signing_input(&self, algorithm: Algorithm, key_id: &str) -> SigningInput {
        let header = format!(
            r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":{}}}"#,
            Json::quote(key_id)
        );
        let mut claims = format!(
            r#"{{"iss":{},"sub":{},"aud":{},"client_id":{},"iat":{},"exp":{},"jti":{},"sid":{},"gen":{},"auth_time":{},"amr":{}"#,
            Json::quote(&self.issuer),
            Json::quote(self.subject.as_str()),
            Json::quote(&self.audience),
            Json::quote(&self.client_id),
            self.issued_at.as_secs(),
            self.expires_at().as_secs(),
            Json::quote(self.token_id.as_str()),
            Json::quote(self.session_id.as_str()),
            self.generation,
            self.authenticated_at.as_secs(),
            Json::Array(self.methods.amr().iter().copied().map(Json::from).collect()),
        );
        let AccountClaims {
            scopes,
            roles,
            custom,
        } = &self.account;
        if !scopes.is_empty() {
            let scopes = Json::quote(&scopes.to_string());
            claims.push_str(&format!(r#","scope":{scopes}"#));
        }
        if !roles.is_empty() {
            let roles = Json::Array(roles.iter().map(Json::from).collect());
            claims.push_str(&format!(r#","roles":{roles}"#));
        }
        for (name, value) in custom.iter() {
            claims.push_str(&format!(",{}:{value}", Json::quote(name)));
        }
        claims.push('}');
        SigningInput::new(&header, &claims)
    }
}

impl SigningInput {
    /// The signing input of a JSON header and JSON claims.
    pub(crate) fn new(header: &str, claims: &str) -> Self {
        let encode = |text: &str| base64url::encode(text.as_bytes());
        Self(format!("{}.{}", encode(header), encode(claims)))
    }

    /// The bytes to sign.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The finished token.
    pub fn with_signature(self, signature: &[u8]) -> Secret<String> {
        Secret::new(format!("{}.{}", self.0, base64url::encode(signature)))
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningInput(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account_claims::CustomClaims;
    use crate::token::claims::Claims;
    use crate::token::jws::Jws;
    use crate::token::scope::{Roles, Scopes};

    #[test]
    fn tokens_issued_here_pass_our_own_verifier() {
        let id = |byte| Id::from_random([byte; 16]);
        let draft = AccessTokenDraft {
            issuer: "https://us".into(),
            subject: id(1),
            audience: "api".into(),
            client_id: "web".into(),
            token_id: id(2),
            session_id: id(3),
            generation: 4,
            authenticated_at: UnixTime::from_secs(990),
            methods: Methods::Totp,
            issued_at: UnixTime::from_secs(1_000),
            lifetime: Duration::from_secs(600),
            account: AccountClaims {
                scopes: Scopes::parse("a b").expect("good"),
                roles: Roles::parse("editor").expect("good"),
                custom: CustomClaims::parse(r#"{"plan":{"name":"pro \"1\""}}"#).expect("good"),
            },
        };
        let token = draft
            .signing_input(Algorithm::EdDsa, "k\"1")
            .with_signature(&[1]);
        let jws = Jws::parse(token.expose()).expect("strict form");
        assert_eq!(jws.header.key_id.as_deref(), Some("k\"1"));
        assert_eq!(jws.header.media_type.as_deref(), Some("at+jwt"));
        let claims = Claims::parse(&jws.payload).expect("strict claims");
        assert_eq!(claims.expires_at, UnixTime::from_secs(1_600));
        assert_eq!(
            (claims.generation, claims.scopes),
            (Some(4), draft.account.scopes)
        );
        assert_eq!(claims.roles, draft.account.roles);
        let plan = claims.all.get("plan").and_then(|plan| plan.get("name"));
        assert_eq!(plan.and_then(Json::as_text), Some(r#"pro "1""#));
        assert_eq!(claims.authenticated_at, Some(draft.authenticated_at));
        assert_eq!(Methods::of_amr(&claims.methods), Some(Methods::Totp));
    }
}
