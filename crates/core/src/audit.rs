//! Audit events: the facts about a request that are safe to store.

pub mod digest;
pub mod entry;

use crate::audit::entry::Fields;
use crate::id::Id;
use crate::limit::kind::LimitKind;
use crate::mail::{MailKind, MailPurpose, MailTokenDenial};
use crate::root_keys::{AuditMac, MAC_BYTES};
use crate::time::UnixTime;

/// One audit entry. Holds identifiers and reasons, never a password, token or email address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// The identifier of the entry. A retry of the write keeps it, so the trail has one entry.
    pub id: Id,
    /// The time of the event.
    pub at: UnixTime,
    /// The action and its outcome.
    pub kind: AuditKind,
    /// The actor: a user ID, which is a pseudonym; `None` if no account is involved.
    pub user_id: Option<Id>,
    /// The affected session.
    pub session_id: Option<Id>,
    /// The source: the client's address as the platform reports it, or `operator:` and an
    /// identifier for commands at the operator's terminal.
    pub client_address: String,
    /// The request ID, the same at the edge and at the origin.
    pub request_id: Id,
    /// The MAC generator; every entry requires one.
    pub sealer: AuditMac,
}

impl AuditEvent {
    /// The MAC over all stored fields, so that changes are detected.
    pub fn mac(&self) -> [u8; MAC_BYTES] {
        self.sealer.mac(&self.fields().parts())
    }

    fn fields(&self) -> Fields<'_> {
        Fields {
            root: self.sealer.root(),
            id: self.id.as_str(),
            at: self.at.as_secs().to_be_bytes(),
            action: self.kind.action(),
            outcome: self.kind.outcome(),
            user_id: self.user_id.as_ref().map(Id::as_str),
            session_id: self.session_id.as_ref().map(Id::as_str),
            client_address: &self.client_address,
            request_id: self.request_id.as_str(),
        }
    }
}

/// The event.
///
/// Exhaustive on purpose: see `Denial`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditKind {
    /// An account was created.
    Registered,
    /// A client tried to register an address that already has an account.
    RegistrationRefused(RegistrationDenial),
    /// A login succeeded.
    LoggedIn,
    /// A login failed.
    LoginRefused(LoginDenial),
    /// The password was correct, and a second factor was requested.
    FactorAsked,
    /// A second-factor enrolment started.
    FactorBegun,
    /// A second factor became active.
    FactorConfirmed,
    /// The second factor was removed.
    FactorRemoved,
    /// Recovery codes were regenerated.
    RecoveryCodesRenewed,
    /// A second-factor operation was rejected.
    FactorRefused(FactorDenial),
    /// The owner changed the password, and the other sessions ended.
    PasswordChanged,
    /// A password change was rejected.
    PasswordChangeRefused(PasswordChangeDenial),
    /// An account was imported with its existing password hash.
    Imported,
    /// The bearer ended the session.
    LoggedOut,
    /// A session was ended from another one of the same account.
    SessionEnded,
    /// A bearer ended all sessions of the account.
    LoggedOutEverywhere,
    /// A refresh token was rotated.
    Refreshed,
    /// A refresh token was retried within its grace window and got the same response.
    RefreshRepeated,
    /// A refresh token was rejected.
    RefreshRefused(RefreshDenial),
    /// A refresh token was replayed after its grace window (reuse): its session was ended.
    RefreshReused,
    /// One access token was revoked.
    AccessTokenRevoked,
    /// A session was ended by one of its refresh tokens.
    RefreshTokenRevoked,
    /// Client authentication failed.
    ClientRefused,
    /// A password was rehashed with stronger parameters.
    PasswordRehashed,
    /// An operator changed an account.
    Administered(AdminAct),
    /// The signing keys changed.
    KeysChanged(KeyAct),
    /// A verification mail was requested; the existence of the account was not checked.
    VerificationRequested,
    /// A password reset mail was requested; the existence of the account was not checked.
    ResetRequested,
    /// A login hit a locked address, and an unlock mail for the owner was requested; the existence
    /// of the account was not checked.
    UnlockRequested,
    /// A mail token was issued for an account; the mail is about to be sent.
    MailTokenIssued(MailPurpose),
    /// A mail could not be delivered and is not retried.
    MailGivenUp(MailKind),
    /// An address was verified.
    EmailVerified,
    /// An address verification failed.
    VerificationRefused(MailTokenDenial),
    /// A password was set with a mailed token.
    PasswordReset,
    /// A password reset failed.
    ResetRefused(MailTokenDenial),
    /// A mailed token registered a browser as known.
    BrowserUnlocked,
    /// A browser registration failed.
    UnlockRefused(MailTokenDenial),
    /// A rate limit was exceeded; recorded once per window of its quota.
    Limited(LimitKind),
}

/// The change of the signing keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAct {
    /// The next key was published.
    Publish,
    /// The next key was promoted, and its predecessor got its end.
    Rotate,
    /// A key was revoked at once.
    Revoke,
}

/// The operator's action on an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminAct {
    /// The account was disabled; its sessions ended.
    Disable,
    /// The account was enabled again.
    Enable,
    /// All sessions ended.
    LogOut,
    /// One session ended.
    EndSession,
    /// The account was deleted with all its data.
    Delete,
}

/// The internal reason for a rejected registration; the client does not see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistrationDenial {
    /// The address already has an account.
    AddressTaken,
}

/// The internal reason for a rejected login; the client sees less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginDenial {
    /// The address has no account.
    UnknownAddress,
    /// The account exists, the password is wrong.
    WrongPassword,
    /// The password is correct, the account is disabled.
    Disabled,
    /// The password is correct, the address is unverified.
    Unverified,
    /// The password was correct; the second-factor code is wrong or already used.
    WrongCode,
    /// The login challenge is invalid or expired.
    BadChallenge,
}

/// The reason for a rejected second-factor operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactorDenial {
    /// The current password is wrong.
    WrongPassword,
    /// The code is wrong or already used.
    WrongCode,
    /// A second factor is already active.
    AlreadyActive,
    /// There is no second factor for this operation.
    NoFactor,
}

/// The reason for a rejected password change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordChangeDenial {
    /// The current password is wrong.
    WrongPassword,
    /// The new password is not acceptable for the account.
    PasswordRejected,
    /// The account changed concurrently, or the session has ended.
    Changed,
}

/// The reason for a rejected refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshDenial {
    /// The text is no refresh token of this deployment.
    NotOurs,
    /// The session does not exist.
    NoSession,
    /// The session is expired by its idle or absolute lifetime.
    Expired,
    /// All sessions of the account were ended, or the account is disabled or deleted.
    SessionsEnded,
    /// The token does not fit the stored state of its session.
    Unknown,
    /// The token came in a cookie without a valid CSRF proof.
    CrossSite,
}

impl AuditKind {
    /// The stable identifier of the action.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Registered | Self::RegistrationRefused(_) => "register",
            Self::LoggedIn | Self::LoginRefused(_) | Self::FactorAsked => "login",
            Self::FactorBegun => "factor_begin",
            Self::FactorConfirmed => "factor_confirm",
            Self::FactorRemoved => "factor_remove",
            Self::RecoveryCodesRenewed => "recovery_codes_renew",
            Self::FactorRefused(_) => "factor",
            Self::PasswordChanged | Self::PasswordChangeRefused(_) => "password_change",
            Self::Imported => "import",
            Self::LoggedOut => "logout",
            Self::SessionEnded => "session_end",
            Self::LoggedOutEverywhere => "logout_all",
            Self::Refreshed
            | Self::RefreshRepeated
            | Self::RefreshRefused(_)
            | Self::RefreshReused => "refresh",
            Self::AccessTokenRevoked | Self::RefreshTokenRevoked => "revoke",
            Self::ClientRefused => "client_authentication",
            Self::PasswordRehashed => "password_rehash",
            Self::Administered(AdminAct::Disable) => "admin_disable",
            Self::Administered(AdminAct::Enable) => "admin_enable",
            Self::Administered(AdminAct::LogOut) => "admin_logout",
            Self::Administered(AdminAct::EndSession) => "admin_end_session",
            Self::Administered(AdminAct::Delete) => "admin_delete",
            Self::KeysChanged(KeyAct::Publish) => "key_publish",
            Self::KeysChanged(KeyAct::Rotate) => "key_rotate",
            Self::KeysChanged(KeyAct::Revoke) => "key_revoke",
            Self::VerificationRequested => "email_resend",
            Self::ResetRequested => "password_forgot",
            Self::UnlockRequested => "login_unlock_mail",
            Self::MailTokenIssued(MailPurpose::Unlock) => "login_unlock_token",
            Self::BrowserUnlocked | Self::UnlockRefused(_) => "login_unlock",
            Self::MailTokenIssued(MailPurpose::Verify) => "email_verify_token",
            Self::MailTokenIssued(MailPurpose::Reset) => "password_reset_token",
            Self::MailGivenUp(_) => "mail",
            Self::EmailVerified | Self::VerificationRefused(_) => "email_verify",
            Self::PasswordReset | Self::ResetRefused(_) => "password_reset",
            Self::Limited(_) => "limit",
        }
    }

    /// The stable identifier of the outcome.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Registered
            | Self::LoggedIn
            | Self::LoggedOut
            | Self::FactorBegun
            | Self::FactorConfirmed
            | Self::FactorRemoved
            | Self::RecoveryCodesRenewed
            | Self::PasswordChanged
            | Self::Imported
            | Self::SessionEnded
            | Self::LoggedOutEverywhere
            | Self::Refreshed
            | Self::PasswordRehashed
            | Self::Administered(_)
            | Self::KeysChanged(_)
            | Self::VerificationRequested
            | Self::ResetRequested
            | Self::UnlockRequested
            | Self::BrowserUnlocked
            | Self::MailTokenIssued(_)
            | Self::EmailVerified
            | Self::PasswordReset => "success",
            Self::MailGivenUp(MailKind::Verify) => "verify_not_delivered",
            Self::MailGivenUp(MailKind::Reset) => "reset_not_delivered",
            Self::MailGivenUp(MailKind::Unlock) => "unlock_not_delivered",
            Self::MailGivenUp(MailKind::AlreadyRegistered) => "taken_not_delivered",
            Self::MailGivenUp(MailKind::PasswordChanged) => "password_changed_not_delivered",
            Self::VerificationRefused(denial)
            | Self::ResetRefused(denial)
            | Self::UnlockRefused(denial) => denial.as_str(),
            Self::FactorAsked => "second_factor_asked",
            Self::FactorRefused(FactorDenial::WrongPassword)
            | Self::PasswordChangeRefused(PasswordChangeDenial::WrongPassword) => "wrong_password",
            Self::FactorRefused(FactorDenial::WrongCode)
            | Self::LoginRefused(LoginDenial::WrongCode) => "wrong_code",
            Self::FactorRefused(FactorDenial::AlreadyActive) => "already_active",
            Self::FactorRefused(FactorDenial::NoFactor) => "no_factor",
            Self::PasswordChangeRefused(PasswordChangeDenial::PasswordRejected) => "unfit_password",
            Self::PasswordChangeRefused(PasswordChangeDenial::Changed) => "changed_meanwhile",
            Self::LoginRefused(LoginDenial::BadChallenge) => "bad_challenge",
            Self::Limited(scope) => scope.as_str(),
            Self::RefreshRepeated => "repeated",
            Self::RefreshRefused(RefreshDenial::NotOurs) => "not_ours",
            Self::RefreshRefused(RefreshDenial::NoSession) => "no_session",
            Self::RefreshRefused(RefreshDenial::Expired) => "expired",
            Self::RefreshRefused(RefreshDenial::SessionsEnded) => "sessions_ended",
            Self::RefreshRefused(RefreshDenial::Unknown) => "unknown",
            Self::RefreshRefused(RefreshDenial::CrossSite) => "cross_site",
            Self::RefreshReused => "reused",
            Self::AccessTokenRevoked => "access_token",
            Self::RefreshTokenRevoked => "refresh_token",
            Self::ClientRefused => "refused",
            Self::RegistrationRefused(RegistrationDenial::AddressTaken) => "address_taken",
            Self::LoginRefused(LoginDenial::UnknownAddress) => "unknown_address",
            Self::LoginRefused(LoginDenial::WrongPassword) => "wrong_password",
            Self::LoginRefused(LoginDenial::Disabled) => "disabled",
            Self::LoginRefused(LoginDenial::Unverified) => "unverified",
        }
    }
}
