//! The name of a member that a body must not have.

use core::fmt;

/// The longest name that is repeated to the client.
const MAX_BYTES: usize = 32;

/// The name, if it is short and of letters, digits, `_` and `-`; else nothing. SECURITY: anything
/// else, such as a password in the place of a name, is not repeated.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct MemberName {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl MemberName {
    /// No name.
    pub const NONE: Self = Self {
        bytes: [0; MAX_BYTES],
        length: 0,
    };

    /// The name `name`.
    pub fn of(name: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let mut bytes = [0; MAX_BYTES];
        match bytes.get_mut(..name.len()) {
            Some(place) if name.bytes().all(plain) => {
                place.copy_from_slice(name.as_bytes());
                Self {
                    bytes,
                    length: name.len(),
                }
            }
            Some(_) | None => Self::NONE,
        }
    }

    /// The name; empty without one.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Debug for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_plain_name_is_repeated_and_nothing_else() {
        for name in ["pasword", "new_password2", "x-y", &"a".repeat(32)] {
            assert_eq!(MemberName::of(name).as_str(), name);
        }
        for name in ["", "a b", "\u{e9}", "a\"", "a\n", "<b>", &"a".repeat(33)] {
            assert_eq!(MemberName::of(name), MemberName::NONE, "{name}");
        }
    }
}
