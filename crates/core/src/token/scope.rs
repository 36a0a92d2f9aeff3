//! Scopes: the permissions that a token grants.

use crate::denial::Denial;

/// The scopes of a token, in its order ([RFC 6749 §3.3]).
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Parses a `scope` value: scopes separated by single spaces. The empty text is an empty list.
    ///
    /// # Errors
    ///
    /// [`Denial::MalformedClaims`] for a character outside `scope-token` or an empty scope.
    pub fn parse(text: &str) -> Result<Self, Denial> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let names: Vec<_> = text.split(' ').map(str::to_owned).collect();
        if names.iter().all(|name| is_scope(name)) {
            Ok(Self(names))
        } else {
            Err(Denial::MalformedClaims)
        }
    }

    /// Whether the scope `name` is included; the match is case-sensitive.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Adds the scope `name`; `false` if it was there.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        insert(&mut self.0, name)
    }

    /// Removes the scope `name`; `false` if there is none.
    pub fn remove(&mut self, name: &str) -> bool {
        remove(&mut self.0, name)
    }
}

/// The roles of an account or a token, in its order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roles(Vec<String>);

impl Roles {
    /// The roles `names`, which may have any characters.
    pub const fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Parses roles of this issuer: names like scopes, separated by single spaces.
    ///
    /// # Errors
    ///
    /// [`Denial::MalformedClaims`], as [`Scopes::parse`].
    pub fn parse(text: &str) -> Result<Self, Denial> {
        Scopes::parse(text).map(|names| Self(names.0))
    }

    /// Whether the role `name` is included; the match is case-sensitive.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The roles.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Adds the role `name`; `false` if it was there.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        insert(&mut self.0, name)
    }

    /// Removes the role `name`; `false` if there is none.
    pub fn remove(&mut self, name: &str) -> bool {
        remove(&mut self.0, name)
    }
}

/// The roles separated by single spaces.
impl core::fmt::Display for Roles {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

fn insert(names: &mut Vec<String>, name: &str) -> bool {
    let is_new = names.iter().all(|own| own != name);
    if is_new {
        names.push(name.to_owned());
    }
    is_new
}

fn remove(names: &mut Vec<String>, name: &str) -> bool {
    let before = names.len();
    names.retain(|own| own != name);
    names.len() < before
}

/// The scopes separated by single spaces, as in the claim.
impl core::fmt::Display for Scopes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Whether `name` is a `scope-token`: printable ASCII without space, quote and backslash.
pub(crate) fn is_scope(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_separated_by_single_spaces() {
        let scopes = Scopes::parse("read admin:write").expect("well formed");
        assert!(
            scopes.contains("admin:write") && !scopes.contains("admin") && !scopes.contains("READ")
        );
        assert_eq!(scopes.to_string(), "read admin:write");
        assert!(Scopes::parse("").expect("none").is_empty());
        for bad in [" ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\0"] {
            assert_eq!(Scopes::parse(bad), Err(Denial::MalformedClaims), "{bad:?}");
        }
    }
}
