//! The changes of an account that one transaction may make.

use portcullis_core::account_claims::AccountClaims;
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
    /// Its new scopes, roles and custom claims.
    pub claims: Option<&'a AccountClaims>,
    /// Revokes its access tokens alone. Not with `sessions`, which does so too.
    pub tokens: Option<TokensEnd<'a>>,
    /// Revokes its sessions, any number of them.
    pub sessions: Option<SessionsEnd<'a>>,
    /// The token that the change depends on. Without a valid token nothing changes; with it the
    /// token is used.
    pub spends: Option<SpentToken<'a>>,
    /// The mail about the change.
    pub mail: Option<&'a OutboxMail>,
}

/// Revokes the access tokens of an account: increments its token generation, and revokes and
/// announces every token below it. Its sessions continue.
#[derive(Clone, Copy, Debug)]
pub struct TokensEnd<'a> {
    /// Revokes every token below [`Account::next_token_generation`].
    pub revocation: &'a Revocation,
    /// The stamp of its feed row.
    pub stamp: UnixTime,
}

/// Revokes every session of an account: increments its generation, and revokes and announces the
/// access tokens of the sessions below it.
#[derive(Clone, Copy, Debug)]
pub struct SessionsEnd<'a> {
    /// Revokes the access tokens of these sessions.
    pub tokens: TokensEnd<'a>,
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

impl<'a> AccountChange<'a> {
    /// The revocation of access tokens, alone or with sessions.
    pub fn ended_tokens(&self) -> Option<TokensEnd<'a>> {
        self.sessions.map(|end| end.tokens).or(self.tokens)
    }
}

impl Account {
    /// The next token generation: that of tokens issued after all earlier ones were revoked.
    pub const fn next_token_generation(&self) -> u64 {
        self.token_generation.saturating_add(1)
    }

    /// The next generation: that of sessions opened after all earlier ones were revoked.
    pub const fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1)
    }
}
