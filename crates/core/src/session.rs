//! Login sessions: what ties the tokens of one login together.

use crate::email::EmailAddress;
use crate::id::Id;
use crate::refresh::Head;
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
    /// The subject's generation at login; raising it ends every session at once.
    pub generation: u64,
    /// What it was opened from, as the caller described itself.
    pub device: Device,
    /// The client's address it was opened from, as the platform reported it.
    pub client_address: String,
    /// Which refresh token is the good one.
    pub head: Head,
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
    fn a_device_is_short_and_printable() {
        assert_eq!(
            Device::new("curl/8\r\nset-cookie: x\u{202e}").as_str(),
            "curl/8set-cookie: x"
        );
        assert_eq!(Device::new(&"x".repeat(1_000)).as_str().len(), 128);
    }
}
