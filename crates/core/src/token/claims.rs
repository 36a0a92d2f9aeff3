//! The claims of an access token, parsed strictly.

use crate::denial::{Denial, RequiredClaim};
use crate::json::{Json, Object};
use crate::revocation::TokenIds;
use crate::time::UnixTime;
use crate::token::scope::{Roles, Scopes};

/// The maximum length of a claim used as an identifier, in bytes. OpenID Connect Core §2 allows 255
/// for `sub`; each identifier becomes part of a key in the store.
pub const MAX_NAME_BYTES: usize = 512;

/// The last second of the year 9999: a later time is a mistake of units.
const MAX_TIME: u64 = 253_402_300_799;

/// The claims that this system reads ([RFC 7519 §4.1], [RFC 9068 §2.2]).
///
/// [RFC 7519 §4.1]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1
/// [RFC 9068 §2.2]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    /// The issuer (`iss`).
    pub issuer: String,
    /// The subject (`sub`).
    pub subject: String,
    /// The audiences (`aud`); at least one.
    pub audience: Vec<String>,
    /// The expiry time (`exp`).
    pub expires_at: UnixTime,
    /// The time of issue (`iat`).
    pub issued_at: UnixTime,
    /// The start of validity (`nbf`).
    pub not_before: Option<UnixTime>,
    /// The token identifier (`jti`).
    pub token_id: String,
    /// The client that the token was issued to (`client_id`).
    pub client_id: String,
    /// The granted scopes (`scope`).
    pub scopes: Scopes,
    /// The session identifier (`sid`).
    pub session_id: Option<String>,
    /// The token generation of the subject (`gen`).
    pub generation: Option<u64>,
    /// The time of the last authentication (`auth_time`).
    pub authenticated_at: Option<UnixTime>,
    /// The authentication methods (`amr`, [RFC 8176]); empty if the token has none.
    ///
    /// [RFC 8176]: https://www.rfc-editor.org/rfc/rfc8176
    pub methods: Vec<String>,
    /// The roles (`roles`, [RFC 9068 §2.2.3.1]).
    ///
    /// [RFC 9068 §2.2.3.1]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2.3.1
    pub roles: Roles,
    /// All claims of the token.
    pub all: Object,
}

impl Claims {
    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// [`Denial::MalformedClaims`] if the payload is no object, repeats a member or has a claim of
    /// the wrong type; [`Denial::MissingClaim`]; [`Denial::BoundToken`] for a `cnf` ([RFC 7800
    /// §3.1]), because a bound token is worthless without its proof; [`Denial::UnforwardableClaim`]
    /// if a claim that becomes a header value contains a forbidden character.
    ///
    /// [RFC 7800 §3.1]: https://www.rfc-editor.org/rfc/rfc7800#section-3.1
    pub fn parse(payload: &[u8]) -> Result<Self, Denial> {
        let members = Json::parse_object(payload).map_err(|_| Denial::MalformedClaims)?;
        if members.contains_key("cnf") {
            return Err(Denial::BoundToken);
        }
        let missing = |claim| move || Denial::MissingClaim(claim);
        let claims = Self {
            issuer: name(&members, "iss")?.ok_or_else(missing(RequiredClaim::Issuer))?,
            subject: name(&members, "sub")?.ok_or_else(missing(RequiredClaim::Subject))?,
            audience: audience(&members)?.ok_or_else(missing(RequiredClaim::Audience))?,
            expires_at: time(&members, "exp")?.ok_or_else(missing(RequiredClaim::ExpiresAt))?,
            issued_at: time(&members, "iat")?.ok_or_else(missing(RequiredClaim::IssuedAt))?,
            not_before: time(&members, "nbf")?,
            token_id: name(&members, "jti")?.ok_or_else(missing(RequiredClaim::TokenId))?,
            client_id: name(&members, "client_id")?.ok_or_else(missing(RequiredClaim::ClientId))?,
            scopes: Scopes::parse(text(&members, "scope")?.unwrap_or_default())?,
            session_id: name(&members, "sid")?,
            generation: whole(&members, "gen")?,
            authenticated_at: time(&members, "auth_time")?,
            methods: texts(&members, "amr")?.unwrap_or_default(),
            roles: Roles::new(texts(&members, "roles")?.unwrap_or_default()),
            all: members,
        };
        let forwarded = [
            Some(&claims.issuer),
            Some(&claims.subject),
            claims.session_id.as_ref(),
        ];
        if forwarded
            .into_iter()
            .flatten()
            .all(|value| is_header_value(value))
        {
            Ok(claims)
        } else {
            Err(Denial::UnforwardableClaim)
        }
    }

    /// The identifiers by which this token, signed by the key `key_id`, can be revoked.
    pub fn revocable<'a>(&'a self, key_id: &'a str) -> TokenIds<'a> {
        TokenIds {
            issuer: &self.issuer,
            subject: &self.subject,
            token_id: &self.token_id,
            session_id: self.session_id.as_deref(),
            generation: self.generation,
            key_id,
        }
    }
}

/// Visible ASCII: every HTTP implementation treats it the same, without trimming or case folding.
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn text<'m>(members: &'m Object, claim: &str) -> Result<Option<&'m str>, Denial> {
    let value = members.get(claim);
    value
        .map(|value| value.as_text().ok_or(Denial::MalformedClaims))
        .transpose()
}

/// An identifier: not empty and within the maximum length.
fn name(members: &Object, claim: &str) -> Result<Option<String>, Denial> {
    let Some(text) = text(members, claim)? else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(Denial::MalformedClaims);
    }
    Ok(Some(text.to_owned()))
}

fn whole(members: &Object, claim: &str) -> Result<Option<u64>, Denial> {
    let value = members.get(claim);
    value
        .map(|value| value.as_whole().ok_or(Denial::MalformedClaims))
        .transpose()
}

/// A `NumericDate` in whole seconds, in any JSON spelling of a whole number. RFC 7519 §2 allows
/// fractions, but implementations round them differently.
fn time(members: &Object, claim: &str) -> Result<Option<UnixTime>, Denial> {
    let Some(value) = members.get(claim) else {
        return Ok(None);
    };
    let secs = value.as_whole_value().filter(|secs| *secs <= MAX_TIME);
    secs.map(|secs| Some(UnixTime::from_secs(secs)))
        .ok_or(Denial::MalformedClaims)
}

/// One string or an array of strings; at least one.
fn audience(members: &Object) -> Result<Option<Vec<String>>, Denial> {
    match texts(members, "aud")? {
        Some(none) if none.is_empty() => Err(Denial::MalformedClaims),
        audience => Ok(audience),
    }
}

/// One string or an array of strings. RFC 8176 §1 defines `amr` as an array, but some issuers write
/// a single method as a string, like `aud`.
fn texts(members: &Object, claim: &str) -> Result<Option<Vec<String>>, Denial> {
    let Some(value) = members.get(claim) else {
        return Ok(None);
    };
    if let Some(one) = value.as_text() {
        return Ok(Some(vec![one.to_owned()]));
    }
    let many = value.as_array().ok_or(Denial::MalformedClaims)?;
    let many: Option<Vec<_>> = many
        .iter()
        .map(|one| one.as_text().map(str::to_owned))
        .collect();
    many.map(Some).ok_or(Denial::MalformedClaims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"iss":"us","sub":"alice","aud":"api","exp":2000,"iat":1000,"jti":"t1","client_id":"web"}"#;

    fn denial(payload: &str) -> Option<Denial> {
        Claims::parse(payload.as_bytes()).err()
    }
    fn with(more: &str) -> String {
        GOOD.replacen('{', &format!("{{{more},"), 1)
    }

    #[test]
    fn every_claim_is_parsed_into_its_field() {
        let claims = with(
            r#""scope":"a b","sid":"s1","gen":3,"auth_time":900,"nbf":950,"amr":["pwd","otp"],"roles":["x y"]"#,
        );
        let claims =
            Claims::parse(claims.replace(r#""api""#, r#"["x","api"]"#).as_bytes()).expect("good");
        assert_eq!(claims.audience, ["x", "api"]);
        assert_eq!(claims.methods, ["pwd", "otp"]);
        assert!(claims.roles.contains("x y"));
        assert_eq!(claims.expires_at, UnixTime::from_secs(2_000));
        assert_eq!(claims.not_before, Some(UnixTime::from_secs(950)));
        assert_eq!(claims.scopes.to_string(), "a b");
        assert_eq!(
            (claims.session_id.as_deref(), claims.generation),
            (Some("s1"), Some(3))
        );
    }

    #[test]
    fn each_missing_required_claim_is_reported() {
        use RequiredClaim::{Audience, ClientId, ExpiresAt, IssuedAt, Issuer, Subject, TokenId};
        assert_eq!(denial(GOOD), None);
        for (claim, missed) in [
            ("iss", Issuer),
            ("sub", Subject),
            ("aud", Audience),
            ("exp", ExpiresAt),
            ("iat", IssuedAt),
            ("jti", TokenId),
            ("client_id", ClientId),
        ] {
            let without = GOOD.replace(&format!("\"{claim}\""), "\"other\"");
            assert_eq!(
                denial(&without),
                Some(Denial::MissingClaim(missed)),
                "{claim}"
            );
        }
    }

    #[test]
    fn a_numeric_date_is_read_in_every_spelling_of_a_whole_number() {
        for spelling in ["2000.0", "2e3", "2.000E+3", "20000e-1"] {
            let claims = GOOD.replace("2000", spelling);
            assert_eq!(denial(&claims), None, "{spelling}");
        }
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_rejected() {
        for (from, to) in [
            ("2000", "\"2000\""),
            ("2000", "2000.5"),
            ("2000", "2000.0000000001"),
            ("2000", "2e-3"),
            ("2000", "2e300"),
            ("2000", "-1"),
            ("2000", "null"),
            ("2000", "253402300800"),
            ("\"us\"", "1"),
            ("\"us\"", "\"\""),
            ("\"api\"", "[]"),
            ("\"api\"", "[\"api\",1]"),
            ("\"api\"", "{}"),
            ("\"t1\"", "[\"t1\"]"),
        ] {
            let bent = GOOD.replace(from, to);
            assert_eq!(denial(&bent), Some(Denial::MalformedClaims), "{to}");
        }
        for more in [
            r#""scope":["a"]"#,
            r#""scope":" a""#,
            r#""sid":7"#,
            r#""gen":"1""#,
            r#""amr":7"#,
            r#""roles":7"#,
            r#""roles":["a",null]"#,
            r#""amr":["pwd",1]"#,
            r#""iss":"us""#,
        ] {
            assert_eq!(denial(&with(more)), Some(Denial::MalformedClaims), "{more}");
        }
        let long = GOOD.replace("alice", &"a".repeat(513));
        assert_eq!(denial(&long), Some(Denial::MalformedClaims));
        assert_eq!(denial(&GOOD.replace("alice", &"a".repeat(512))), None);
        assert_eq!(denial(&GOOD.replace("2000", "253402300799")), None);
    }

    #[test]
    fn amr_may_hold_one_several_or_no_methods() {
        for (claim, expected) in [
            (r#""amr":"pwd""#, &["pwd"][..]),
            (r#""amr":["pwd","mfa"]"#, &["pwd", "mfa"]),
            (r#""amr":[]"#, &[]),
            (r#""other":1"#, &[]),
        ] {
            let claims = Claims::parse(with(claim).as_bytes()).expect("good");
            assert_eq!(claims.methods, expected, "{claim}");
        }
    }

    #[test]
    fn a_claim_that_cannot_be_a_header_value_is_rejected() {
        for sub in [
            "josé",
            "a b",
            "a\\r\\nx-auth-scope: admin",
            "a\\u0000",
            "\\u007f",
        ] {
            let bent = GOOD.replace("alice", sub);
            assert_eq!(denial(&bent), Some(Denial::UnforwardableClaim), "{sub}");
        }
        assert_eq!(
            denial(&with(r#""sid":"a b""#)),
            Some(Denial::UnforwardableClaim)
        );
    }

    #[test]
    fn a_token_bound_by_cnf_is_rejected() {
        assert_eq!(
            denial(&with(r#""cnf":{"jkt":"x"}"#)),
            Some(Denial::BoundToken)
        );
        assert_eq!(denial(&with(r#""cnf":null"#)), Some(Denial::BoundToken));
    }
}
