//! Login sessions: what ties the tokens of one login together.

use crate::email::EmailAddress;
use crate::id::Id;
use crate::refresh::RefreshHead;
use crate::time::UnixTime;

/// The longest description of a device that is kept, in bytes.
const MAX_DEVICE_BYTES: usize = 128;

/// A session as it is kept.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name (`sid`).
    pub id: Id,
    /// Whose it is.
    pub user_id: Id,
    /// The address it was opened with: the row stands beside the account.
    pub email: EmailAddress,
    /// When the password was checked.
    pub opened_at: UnixTime,
    /// When it ends, however often it is used.
    pub ends_at: UnixTime,
    /// What its bearer showed then.
    pub methods: Methods,
    /// The subject's generation at login; raising it ends every session at once.
    pub generation: u64,
    /// What it was opened from, as the caller described itself.
    pub device: Device,
    /// The client's address it was opened from, as the platform reported it.
    pub client_address: String,
    /// Which refresh token is the good one.
    pub head: RefreshHead,
}

/// What somebody showed to be let in, as `amr` tells it in the names of [RFC 8176 §2].
///
/// [RFC 8176 §2]: https://www.rfc-editor.org/rfc/rfc8176#section-2
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Methods {
    /// The password.
    #[default]
    Password,
    /// The password, and a code by time.
    Totp,
    /// The password, and a code on paper. That is no `otp`, which the RFC ties to RFC 4226 and 6238;
    /// but it is a second factor, which `mfa` says of any.
    RecoveryCode,
}

impl Methods {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Password, Self::Totp, Self::RecoveryCode];

    /// The names of what was shown.
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Totp => &["pwd", "otp"],
            Self::RecoveryCode => &["pwd", "mfa"],
        }
    }

    /// What [`Methods::amr`] names so; `None` if no token of ours does.
    pub fn of_amr(names: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|methods| names == methods.amr())
    }

    /// A stable name of what was shown besides the password, for the store.
    pub const fn second(self) -> Option<&'static str> {
        match self {
            Self::Password => None,
            Self::Totp => Some("otp"),
            Self::RecoveryCode => Some("mfa"),
        }
    }

    /// What [`Methods::second`] gave this for.
    pub fn of_second(second: Option<&str>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|methods| methods.second() == second)
    }
}

/// A `User-Agent` fit to be kept and shown: printable ASCII, at most 128 bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device(String);

impl Device {
    /// Keeps what is printable of a `User-Agent` value.
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
    fn each_way_in_is_known_by_its_names_and_by_nothing_else() {
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
    fn a_device_is_short_and_printable() {
        assert_eq!(
            Device::new("curl/8\r\nset-cookie: x\u{202e}").as_str(),
            "curl/8set-cookie: x"
        );
        assert_eq!(Device::new(&"x".repeat(1_000)).as_str().len(), 128);
    }
}
