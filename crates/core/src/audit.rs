//! What is worth remembering about a request, in words that are safe to keep.

pub mod digest;
pub mod entry;

use crate::audit::entry::Fields;
use crate::id::Id;
use crate::limit::kind::LimitKind;
use crate::mail::{MailKind, MailPurpose, MailTokenDenial};
use crate::root_keys::{AuditMac, MAC_BYTES};
use crate::time::UnixTime;

/// One line of the audit trail. Holds names and reasons, never a password, token or address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// The line's own name: a retry of one write keeps it, so that it is one line.
    pub id: Id,
    /// When it happened.
    pub at: UnixTime,
    /// What was tried, and how it ended.
    pub kind: AuditKind,
    /// Who: a user id, which is a pseudonym; `None` where no account is involved.
    pub user_id: Option<Id>,
    /// The session it concerns.
    pub session_id: Option<Id>,
    /// Where from: the client's address as the platform reports it, or `operator:` and a name for
    /// what was done at the operator's terminal.
    pub client_address: String,
    /// The request that caused it; the edge and the origin see the same id.
    pub request_id: Id,
    /// What its code is made with, so that no line can be kept without one.
    pub sealer: AuditMac,
}

impl AuditEvent {
    /// The code over everything that is kept of it, so that an alteration shows.
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

/// What happened.
///
/// Exhaustive on purpose: see `Denial`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditKind {
    /// An account was made.
    Registered,
    /// Somebody tried to register an address that has an account.
    RegistrationRefused(RegistrationDenial),
    /// Someone signed in.
    LoggedIn,
    /// Someone tried to, and could not.
    LoginRefused(LoginDenial),
    /// The password was right, and a second factor was asked for.
    FactorAsked,
    /// A second factor was begun.
    FactorBegun,
    /// A second factor became active.
    FactorConfirmed,
    /// The second factor was removed.
    FactorRemoved,
    /// Recovery codes were made anew.
    RecoveryCodesRenewed,
    /// Something about second factors was refused.
    FactorRefused(FactorDenial),
    /// A password was changed by its owner, and the other sessions ended.
    PasswordChanged,
    /// A change of a password was refused.
    PasswordChangeRefused(PasswordChangeDenial),
    /// An account was brought from elsewhere with the hash it had there.
    Imported,
    /// A session was ended by its bearer.
    LoggedOut,
    /// A session was ended from another one of the same account.
    SessionEnded,
    /// All sessions of an account were ended by one of their bearers.
    LoggedOutEverywhere,
    /// A refresh token was spent for its successor.
    Refreshed,
    /// A refresh token within its window was answered once more.
    RefreshRepeated,
    /// A refresh token was not taken.
    RefreshRefused(RefreshDenial),
    /// A refresh token was brought again long after it was spent: its session was ended.
    RefreshReused,
    /// One access token was called back.
    AccessTokenRevoked,
    /// A session was ended by one of its refresh tokens.
    RefreshTokenRevoked,
    /// A client did not prove who it is.
    ClientRefused,
    /// A password hash was renewed because the parameters rose.
    PasswordRehashed,
    /// An operator did something to an account.
    Administered(AdminAct),
    /// The keys that our tokens are signed with changed.
    KeysChanged(KeyAct),
    /// Somebody asked for a mail that verifies an address; whether it has an account was not
    /// looked at.
    VerificationRequested,
    /// Somebody asked for a mail that resets a password; whether the address has an account was
    /// not looked at.
    ResetRequested,
    /// A login met an address at which too many had failed, and a mail to let its owner in was asked
    /// for; whether the address has an account was not looked at.
    UnlockRequested,
    /// An account was given a token, which is in a mail that is about to leave.
    MailTokenIssued(MailPurpose),
    /// A mail could not be delivered, and is not tried any more.
    MailGivenUp(MailKind),
    /// An address was verified.
    EmailVerified,
    /// Somebody tried to verify one, and could not.
    VerificationRefused(MailTokenDenial),
    /// A password was set by a mailed token.
    PasswordReset,
    /// Somebody tried to set one, and could not.
    ResetRefused(MailTokenDenial),
    /// A browser was made known by a mailed token.
    BrowserUnlocked,
    /// Somebody tried to make one known, and could not.
    UnlockRefused(MailTokenDenial),
    /// There were too many attempts of a kind; told once in the span of its quota.
    Limited(LimitKind),
}

/// What happened to the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAct {
    /// The next one was published.
    Publish,
    /// The next one is in force, and the one before was told its end.
    Rotate,
    /// One was withdrawn at once.
    Revoke,
}

/// What an operator did to an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminAct {
    /// Closed it; its sessions ended.
    Disable,
    /// Opened it again.
    Enable,
    /// Ended all its sessions.
    LogOut,
    /// Ended one of its sessions.
    EndSession,
    /// Removed it with all that stood beside it.
    Delete,
}

/// Why a registration was refused, as we know it; the caller is told nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistrationDenial {
    /// The address has an account.
    AddressTaken,
}

/// Why a sign-in was refused, as we know it; the caller is told less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginDenial {
    /// No account has that address.
    UnknownAddress,
    /// The account is there, the password is not right.
    WrongPassword,
    /// The password is right, the account is disabled.
    Disabled,
    /// The password is right, the address has yet to be verified.
    Unverified,
    /// The password was right, the code of the second factor is not, or was used before.
    WrongCode,
    /// What the first step of the login gave is not what was brought to the second, or too old.
    BadChallenge,
}

/// Why something about second factors was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactorDenial {
    /// The current password is not right.
    WrongPassword,
    /// The code is not right, or was used before.
    WrongCode,
    /// There is an active one.
    AlreadyActive,
    /// There is none that it could be done with.
    NoFactor,
}

/// Why a password was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordChangeDenial {
    /// The current password is not right.
    WrongPassword,
    /// The new one is not one that the account may have.
    PasswordRejected,
    /// The account changed meanwhile, or the session is over.
    Changed,
}

/// Why a refresh token was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshDenial {
    /// It is no refresh token of ours.
    NotOurs,
    /// Its session is not there any more, or was never there.
    NoSession,
    /// Its session was not used for too long, or is too old.
    Expired,
    /// All sessions of its account were ended, or the account is closed or gone.
    SessionsEnded,
    /// It does not go with what is kept of its session.
    Unknown,
    /// It came as a cookie, and nothing shows that a page of ours sent it.
    CrossSite,
}

impl AuditKind {
    /// A stable name of what was tried.
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

    /// A stable name of how it ended.
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
