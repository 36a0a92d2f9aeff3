//! The scopes, roles and custom claims of an account, which every access token of it carries.

use core::fmt;

use thiserror::Error;

use crate::json::{Json, Object};
use crate::token::scope::{Roles, Scopes};

/// The maximum length of a scope, of a role and of the name of a custom claim, in bytes.
pub const MAX_CLAIM_NAME_BYTES: usize = 64;

/// The maximum length of all scopes, of all roles and of all custom claims as text, in bytes.
pub const MAX_CLAIMS_BYTES: usize = 1_024;

/// The claims that a token has already, or that other systems read as a statement of the issuer.
const RESERVED: &[&str] = &[
    "acr",
    "act",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "entitlements",
    "events",
    "exp",
    "gen",
    "groups",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "roles",
    "scope",
    "scp",
    "sid",
    "sub",
    "token_use",
    "typ",
];

/// The scopes, roles and custom claims of an account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccountClaims {
    /// The scopes (`scope`, [RFC 9068 §2.2.3]).
    ///
    /// [RFC 9068 §2.2.3]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2.3
    pub scopes: Scopes,
    /// The roles (`roles`, [RFC 9068 §2.2.3.1]).
    ///
    /// [RFC 9068 §2.2.3.1]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2.3.1
    pub roles: Roles,
    /// The custom claims.
    pub custom: CustomClaims,
}

/// Claims that an application defines: at most [`MAX_CLAIMS_BYTES`] of JSON.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CustomClaims(Object);

/// A scope, a role or a custom claim is not acceptable.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AccountClaimError {
    /// The name has a forbidden character or length.
    #[error(
        "a scope or role is 1 to 64 visible ASCII characters without quotes, backslash and comma; \
         the name of a claim is 1 to 64 letters, digits and . _ : / -"
    )]
    Name,
    /// The name belongs to the issuer.
    #[error("the claim is reserved: tokens carry it already, or other systems give it a meaning")]
    Reserved,
    /// The value is no strict JSON.
    #[error("the value is not JSON, or a member is repeated")]
    NotJson,
    /// All together are too long.
    #[error(
        "all scopes, all roles and all custom claims of an account have at most 1024 bytes each"
    )]
    TooLong,
}

impl AccountClaims {
    /// Whether it has neither scopes nor roles nor custom claims.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.roles.is_empty() && self.custom.is_empty()
    }

    /// Adds the scope `name`; `false` if it was there.
    ///
    /// # Errors
    ///
    /// [`AccountClaimError::Name`] and [`AccountClaimError::TooLong`].
    pub fn add_scope(&mut self, name: &str) -> Result<bool, AccountClaimError> {
        check_name(name)?;
        let added = self.scopes.insert(name);
        check_length(&self.scopes)?;
        Ok(added)
    }

    /// Adds the role `name`; `false` if it was there.
    ///
    /// # Errors
    ///
    /// [`AccountClaimError::Name`] and [`AccountClaimError::TooLong`].
    pub fn add_role(&mut self, name: &str) -> Result<bool, AccountClaimError> {
        check_name(name)?;
        let added = self.roles.insert(name);
        check_length(&self.roles)?;
        Ok(added)
    }

    /// Whether `other` lacks a scope, a role or a claim of these, or has a claim with another value:
    /// a token with these claims must then no longer be accepted.
    pub fn exceed(&self, other: &Self) -> bool {
        self.scopes
            .iter()
            .any(|scope| !other.scopes.contains(scope))
            || self.roles.iter().any(|role| !other.roles.contains(role))
            || self
                .custom
                .iter()
                .any(|(name, value)| other.custom.get(name) != Some(value))
    }
}

impl CustomClaims {
    /// Parses a JSON object.
    ///
    /// # Errors
    ///
    /// The first [`AccountClaimError`] that applies.
    pub fn parse(json: &str) -> Result<Self, AccountClaimError> {
        let members =
            Json::parse_object(json.as_bytes()).map_err(|_| AccountClaimError::NotJson)?;
        for (name, _) in members.iter() {
            check_claim(name)?;
        }
        let claims = Self(members);
        check_length(&claims)?;
        Ok(claims)
    }

    /// Sets the claim `name` to the JSON text `value`; `false` if it had this value.
    ///
    /// # Errors
    ///
    /// The first [`AccountClaimError`] that applies.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, AccountClaimError> {
        check_claim(name)?;
        let value = Json::parse(value.as_bytes()).map_err(|_| AccountClaimError::NotJson)?;
        let changed = self.0.get(name) != Some(&value);
        self.0.insert(name, value);
        check_length(self)?;
        Ok(changed)
    }

    /// Removes the claim `name`; `false` if there is none.
    pub fn unset(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// The value of the claim `name`.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// The claims, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The claims as a JSON object.
impl fmt::Display for CustomClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Checks the name of a scope or role: a `scope-token` ([RFC 6749 §3.3]). A comma would separate
/// names in a header.
///
/// # Errors
///
/// [`AccountClaimError::Name`].
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
pub fn check_name(name: &str) -> Result<(), AccountClaimError> {
    let fits = crate::token::scope::is_scope(name)
        && name.len() <= MAX_CLAIM_NAME_BYTES
        && !name.contains(',');
    fits.then_some(()).ok_or(AccountClaimError::Name)
}

/// Checks the name of a custom claim.
///
/// # Errors
///
/// [`AccountClaimError::Name`] and [`AccountClaimError::Reserved`].
pub fn check_claim(name: &str) -> Result<(), AccountClaimError> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    let fits = (1..=MAX_CLAIM_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_letter);
    if !fits {
        Err(AccountClaimError::Name)
    } else if RESERVED.contains(&name) {
        Err(AccountClaimError::Reserved)
    } else {
        Ok(())
    }
}

fn check_length(claims: &impl fmt::Display) -> Result<(), AccountClaimError> {
    let fits = claims.to_string().len() <= MAX_CLAIMS_BYTES;
    fits.then_some(()).ok_or(AccountClaimError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_and_roles_are_sets_of_names_within_their_limits() {
        let mut claims = AccountClaims::default();
        assert!(claims.is_empty());
        assert_eq!(claims.add_scope("admin:read"), Ok(true));
        assert_eq!(claims.add_scope("admin:read"), Ok(false));
        assert_eq!(claims.add_role("Editor"), Ok(true));
        assert_eq!(claims.add_role("editor"), Ok(true));
        assert_eq!(claims.scopes.to_string(), "admin:read");
        assert_eq!(claims.roles.to_string(), "Editor editor");
        let long = "a".repeat(65);
        for bad in ["", "a b", "a,b", "a\"", "a\\", "ä", "a\n", long.as_str()] {
            assert_eq!(
                claims.add_scope(bad),
                Err(AccountClaimError::Name),
                "{bad:?}"
            );
            assert_eq!(
                claims.add_role(bad),
                Err(AccountClaimError::Name),
                "{bad:?}"
            );
        }
        assert_eq!(claims.add_scope(&"a".repeat(64)), Ok(true));
        let mut full = AccountClaims::default();
        // Each with its separator has 64 bytes; the last one has none.
        for at in 0..16 {
            assert_eq!(full.add_role(&format!("{at:063}")), Ok(true));
        }
        assert_eq!(full.roles.to_string().len(), MAX_CLAIMS_BYTES - 1);
        assert_eq!(full.add_role("a"), Err(AccountClaimError::TooLong));
    }

    #[test]
    fn a_custom_claim_is_json_with_a_name_of_its_own() {
        let mut claims = CustomClaims::default();
        assert_eq!(claims.set("plan", r#""pro""#), Ok(true));
        assert_eq!(claims.set("plan", r#" "pro" "#), Ok(false));
        assert_eq!(claims.set("https://app.example/seats", "3"), Ok(true));
        assert_eq!(
            claims.to_string(),
            r#"{"https://app.example/seats":3,"plan":"pro"}"#
        );
        assert_eq!(CustomClaims::parse(&claims.to_string()), Ok(claims.clone()));
        for reserved in RESERVED {
            let refused = Err(AccountClaimError::Reserved);
            assert_eq!(claims.set(reserved, "1"), refused, "{reserved}");
            let all = CustomClaims::parse(&format!(r#"{{"{reserved}":1}}"#));
            assert_eq!(all, Err(AccountClaimError::Reserved), "{reserved}");
        }
        for bad in ["", "a b", "a\"", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(
                claims.set(bad, "1"),
                Err(AccountClaimError::Name),
                "{bad:?}"
            );
        }
        for bad in ["", "pro", "{", r#"{"a":1,"a":2}"#, "1 2"] {
            assert_eq!(
                claims.set("a", bad),
                Err(AccountClaimError::NotJson),
                "{bad}"
            );
        }
        assert!(claims.unset("plan") && !claims.unset("plan"));
        let text = |length: usize| format!("\"{}\"", "x".repeat(length));
        let mut one = CustomClaims::default();
        assert_eq!(one.set("a", &text(MAX_CLAIMS_BYTES - 8)), Ok(true));
        assert_eq!(one.to_string().len(), MAX_CLAIMS_BYTES);
        assert_eq!(
            one.set("a", &text(MAX_CLAIMS_BYTES - 7)),
            Err(AccountClaimError::TooLong)
        );
    }

    #[test]
    fn claims_exceed_others_if_one_is_missing_or_changed_there() {
        let of = |scopes: &str, roles: &str, custom: &str| AccountClaims {
            scopes: Scopes::parse(scopes).expect("scopes"),
            roles: Roles::parse(roles).expect("roles"),
            custom: CustomClaims::parse(custom).expect("claims"),
        };
        let now = of("a b", "r", r#"{"plan":"pro"}"#);
        for (later, exceeds) in [
            (of("b a", "r", r#"{"plan":"pro"}"#), false),
            (of("a b c", "r s", r#"{"plan":"pro","x":1}"#), false),
            (of("a", "r", r#"{"plan":"pro"}"#), true),
            (of("a b", "", r#"{"plan":"pro"}"#), true),
            (of("a b", "r", "{}"), true),
            (of("a b", "r", r#"{"plan":"free"}"#), true),
        ] {
            assert_eq!(now.exceed(&later), exceeds, "{later:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_custom_claims_within_the_limits_or_an_error(json: String) {
            if let Ok(claims) = CustomClaims::parse(&json) {
                let text = claims.to_string();
                prop_assert!(text.len() <= MAX_CLAIMS_BYTES);
                prop_assert_eq!(CustomClaims::parse(&text), Ok(claims));
            }
        }
    }
}
