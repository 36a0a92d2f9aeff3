//! The changes of an account that one transaction may make.

use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::Revocation;
use portcullis_core::time::UnixTime;

use super::{Account, AccountStatus, OutboxMail, SpentToken};

/// A change of an account; `None` leaves a field unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChange<'a> {
    /// The hash of its new password.
    pub password: Option<&'a PasswordHash>,
    /// Whether the new password is accepted only beside a second factor.
    pub short_password: Option<bool>,
    /// Whether it is active from now on.
    pub status: Option<AccountStatus>,
    /// The time when its address was verified.
    pub verified_at: Option<UnixTime>,
    /// Revokes its sessions, any number of them.
    pub sessions: Option<SessionsEnd<'a>>,
    /// The token that the change depends on. Without a valid token nothing changes; with it the
    /// token is used.
    pub spends: Option<SpentToken<'a>>,
    /// The mail about the change.
    pub mail: Option<&'a OutboxMail>,
}

/// Revokes every session of an account: increments its generation, and revokes and announces every
/// session below it.
#[derive(Clone, Copy, Debug)]
pub struct SessionsEnd<'a> {
    /// Revokes every session below [`Account::next_generation`].
    pub revocation: &'a Revocation,
    /// The stamp of its feed row.
    pub stamp: UnixTime,
    /// The one session that stays: it is moved to the new generation, and its client needs new
    /// tokens.
    pub kept: Option<KeptSession<'a>>,
}

/// The session that stays, with the refresh token that replaces its current one.
#[derive(Clone, Copy, Debug)]
pub struct KeptSession<'a> {
    /// The session.
    pub session: &'a RetainedSession,
    /// The current token, as read: another one is a conflict.
    pub read: &'a RefreshHead,
    /// Its replacement.
    pub next: &'a RefreshHead,
}

/// A session as its access token describes it: enough to find its row beside the account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetainedSession {
    /// `sid`.
    pub id: Id,
    /// `auth_time`.
    pub opened_at: UnixTime,
}

impl Account {
    /// The next generation: that of sessions opened after all earlier ones were revoked.
    pub const fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1)
    }
}
