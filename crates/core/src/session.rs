//! Login sessions, which connect the tokens of one login.

use crate::email::EmailAddress;
use crate::id::Id;
use crate::refresh::RefreshHead;
use crate::time::UnixTime;

/// The maximum length of a device description, in bytes.
const MAX_DEVICE_BYTES: usize = 128;

/// A stored session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session ID (`sid`).
    pub id: Id,
    /// The user ID.
    pub user_id: Id,
    /// The address of the account. Its partition holds the row.
    pub email: EmailAddress,
    /// The time of the login.
    pub opened_at: UnixTime,
    /// The absolute end.
    pub ends_at: UnixTime,
    /// The authentication methods of the login.
    pub methods: Methods,
    /// The subject's generation at login; raising it revokes every session at once.
    pub generation: u64,
    /// The client's own description at login.
    pub device: Device,
    /// The client's address at login, as the platform reported it.
    pub client_address: String,
    /// The state of its refresh token.
    pub head: RefreshHead,
}

/// The authentication methods of a login, as `amr` lists them by the names of [RFC 8176 §2].
///
/// [RFC 8176 §2]: https://www.rfc-editor.org/rfc/rfc8176#section-2
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Methods {
    /// The password.
    #[default]
    Password,
    /// The password and a TOTP code.
    Totp,
    /// The password and a recovery code. That is no `otp`, which the RFC defines by RFC 4226 and
    /// 6238; but it is a second factor, which `mfa` covers.
    RecoveryCode,
}

impl Methods {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Password, Self::Totp, Self::RecoveryCode];

    /// The `amr` names.
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Totp => &["pwd", "otp"],
            Self::RecoveryCode => &["pwd", "mfa"],
        }
    }

    /// The methods with these `amr` names; `None` if no token of this issuer has them.
    pub fn of_amr(names: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|methods| names == methods.amr())
    }

    /// A stable name of the second method, for the store.
    pub const fn second(self) -> Option<&'static str> {
        match self {
            Self::Password => None,
            Self::Totp => Some("otp"),
            Self::RecoveryCode => Some("mfa"),
        }
    }

    /// The methods for a name of [`Methods::second`].
    pub fn of_second(second: Option<&str>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|methods| methods.second() == second)
    }
}

/// A sanitised `User-Agent`: printable ASCII, at most 128 bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device(String);

impl Device {
    /// Keeps the printable characters of a `User-Agent` value.
    pub fn new(user_agent: &str) -> Self {
        let printable = user_agent
            .chars()
            .filter(|letter| matches!(letter, ' '..='~'));
        Self(printable.take(MAX_DEVICE_BYTES).collect())
    }

    /// The description.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_of_methods_has_unique_amr_names() {
        for methods in Methods::ALL {
            let names: Vec<_> = methods.amr().iter().map(ToString::to_string).collect();
            assert_eq!(Methods::of_amr(&names), Some(methods));
            assert_eq!(Methods::of_second(methods.second()), Some(methods));
        }
        for names in [&[][..], &["otp"], &["otp", "pwd"], &["pwd", "otp", "mfa"]] {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(Methods::of_amr(&names), None, "{names:?}");
        }
        assert_eq!(Methods::of_second(Some("pwd")), None);
    }

    #[test]
    fn a_device_description_is_short_and_printable() {
        assert_eq!(
            Device::new("curl/8\r\nset-cookie: x\u{202e}").as_str(),
            "curl/8set-cookie: x"
        );
        assert_eq!(Device::new(&"x".repeat(1_000)).as_str().len(), 128);
    }
}
