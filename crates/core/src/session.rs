//! Login sessions, which connect the tokens of one login.

use crate::email::EmailAddress;
use crate::id::Id;
use crate::refresh::RefreshHead;
use crate::time::UnixTime;

/// The maximum length of a stored device description, in bytes.
const MAX_DEVICE_BYTES: usize = 128;

/// A stored session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session identifier (`sid`).
    pub id: Id,
    /// The user.
    pub user_id: Id,
    /// The address used at login; the session row is stored beside the account.
    pub email: EmailAddress,
    /// The time of the password check.
    pub opened_at: UnixTime,
    /// The absolute expiry, independent of use.
    pub ends_at: UnixTime,
    /// The authentication methods at login.
    pub methods: Methods,
    /// The subject's generation at login; raising it ends every session at once.
    pub generation: u64,
    /// The device, as the client described itself.
    pub device: Device,
    /// The client's address at login, as the platform reported it.
    pub client_address: String,
    /// The current refresh token.
    pub head: RefreshHead,
}

/// The authentication methods of a login, written to `amr` with the values of [RFC 8176 §2].
///
/// [RFC 8176 §2]: https://www.rfc-editor.org/rfc/rfc8176#section-2
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Methods {
    /// The password.
    #[default]
    Password,
    /// Password and TOTP code.
    Totp,
    /// Password and recovery code. The RFC ties `otp` to RFC 4226 and 6238, so a recovery code is
    /// none. It is a second factor, and `mfa` covers any.
    RecoveryCode,
}

impl Methods {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Password, Self::Totp, Self::RecoveryCode];

    /// The `amr` values.
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Totp => &["pwd", "otp"],
            Self::RecoveryCode => &["pwd", "mfa"],
        }
    }

    /// The methods with these [`Methods::amr`] values; `None` if no token of this issuer has them.
    pub fn of_amr(names: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|methods| names == methods.amr())
    }

    /// The stable identifier of the second factor, for the store.
    pub const fn second(self) -> Option<&'static str> {
        match self {
            Self::Password => None,
            Self::Totp => Some("otp"),
            Self::RecoveryCode => Some("mfa"),
        }
    }

    /// The methods with this [`Methods::second`] identifier.
    pub fn of_second(second: Option<&str>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|methods| methods.second() == second)
    }
}

/// A `User-Agent` value that is safe to store and show: printable ASCII, at most 128 bytes.
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
    fn authentication_methods_round_trip_through_amr() {
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
