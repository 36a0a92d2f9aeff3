//! What one step may change of an account.

use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::revocation::Revocation;
use portcullis_core::time::UnixTime;

use super::{Account, AccountStatus, OutboxMail, SpentToken};

/// What changes of an account; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChange<'a> {
    /// The hash of its new password.
    pub password: Option<&'a PasswordHash>,
    /// Whether it may be used from now on.
    pub status: Option<AccountStatus>,
    /// When its address was verified.
    pub verified_at: Option<UnixTime>,
    /// Ends its sessions, whatever their number.
    pub sessions: Option<SessionsEnd<'a>>,
    /// The token it hangs on. Without it nothing changes; with it the token is spent.
    pub spends: Option<SpentToken<'a>>,
    /// The mail that goes out about it.
    pub mail: Option<&'a OutboxMail>,
}

/// Every session of an account ends: its generation is raised by one, and all that is below it is
/// called back and announced.
#[derive(Clone, Copy, Debug)]
pub struct SessionsEnd<'a> {
    /// Calls back what is below [`Account::next_generation`].
    pub revocation: &'a Revocation,
    /// What its feed row is stamped with.
    pub stamp: UnixTime,
    /// The one session that stays: it is moved to the new generation. Its bearer needs a new
    /// access token.
    pub kept: Option<&'a RetainedSession>,
}

/// A session as its access token tells of it: enough to find its row beside the account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetainedSession {
    /// `sid`.
    pub id: Id,
    /// `auth_time`.
    pub opened_at: UnixTime,
}

impl Account {
    /// The generation that follows on this one: that of sessions which begin after all others
    /// have ended.
    pub const fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1)
    }
}
