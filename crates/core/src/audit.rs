//! Audit events, with content that is safe to store.

pub mod digest;
pub mod entry;

use crate::audit::entry::Fields;
use crate::id::Id;
use crate::limit::kind::LimitKind;
use crate::mail::{MailKind, MailPurpose, MailTokenDenial};
use crate::root_keys::{AuditMac, MAC_BYTES};
use crate::time::UnixTime;

/// One entry of the audit trail. Contains identifiers and reasons, never a password, token or
/// address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// The entry's identifier: a retry of one write keeps it, so that there is one entry.
    pub id: Id,
    /// The time.
    pub at: UnixTime,
    /// The action and its outcome.
    pub kind: AuditKind,
    /// The user ID, which is a pseudonym; `None` if no account is involved.
    pub user_id: Option<Id>,
    /// The session.
    pub session_id: Option<Id>,
    /// The client's address as the platform reports it, or `operator:` with the AWS identity
    /// and a remark for a CLI command.
    pub client_address: String,
    /// The request ID, which edge and origin see, too.
    pub request_id: Id,
    /// The names that an operator's change is about, such as `scope admin`; never a value.
    pub detail: Option<String>,
    /// The key of its MAC, so that no entry can be stored without one.
    pub sealer: AuditMac,
}

impl AuditEvent {
    /// The MAC over everything stored of it, which reveals an alteration.
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
            detail: self.detail.as_deref(),
        }
    }
}

/// The kind of event.
///
/// Exhaustive on purpose: see `Denial`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditKind {
    /// An account was created.
    Registered,
    /// A registration of an address that already has an account.
    RegistrationRefused(RegistrationDenial),
    /// A login.
    LoggedIn,
    /// A refused login.
    LoginRefused(LoginDenial),
    /// The password was right, and a second factor was required.
    FactorAsked,
    /// A second factor was started.
    FactorBegun,
    /// A second factor became active.
    FactorConfirmed,
    /// The second factor was removed.
    FactorRemoved,
    /// Recovery codes were replaced.
    RecoveryCodesRenewed,
    /// A request about second factors was refused.
    FactorRefused(FactorDenial),
    /// The owner changed the password, and the other sessions ended.
    PasswordChanged,
    /// A password change was refused.
    PasswordChangeRefused(PasswordChangeDenial),
    /// An account was imported with its hash.
    Imported,
    /// The bearer revoked a session.
    LoggedOut,
    /// Another session of the same account revoked a session.
    SessionEnded,
    /// A bearer revoked all sessions of the account.
    LoggedOutEverywhere,
    /// A refresh token was used for its successor.
    Refreshed,
    /// A refresh token was reused within its grace window.
    RefreshRepeated,
    /// A refresh token was rejected.
    RefreshRefused(RefreshDenial),
    /// A refresh token was reused after its window: its session was revoked.
    RefreshReused,
    /// One access token was revoked.
    AccessTokenRevoked,
    /// A session was revoked by one of its refresh tokens.
    RefreshTokenRevoked,
    /// A client failed to authenticate.
    ClientRefused,
    /// A password hash was replaced because the parameters rose.
    PasswordRehashed,
    /// An operator changed an account.
    Administered(AdminAct),
    /// The signing keys changed.
    KeysChanged(KeyAct),
    /// A verification mail was requested, with or without an account.
    VerificationRequested,
    /// A password reset mail was requested, with or without an account.
    ResetRequested,
    /// A login met a locked address, and an unlock mail was requested, with or without an account.
    UnlockRequested,
    /// An account got a token, for a mail that is about to be sent.
    MailTokenIssued(MailPurpose),
    /// A mail could not be delivered and is given up.
    MailGivenUp(MailKind),
    /// An address was verified.
    EmailVerified,
    /// An address verification was refused.
    VerificationRefused(MailTokenDenial),
    /// A password was set by a mailed token.
    PasswordReset,
    /// A password reset was refused.
    ResetRefused(MailTokenDenial),
    /// A browser was made known by a mailed token.
    BrowserUnlocked,
    /// An unlock was refused.
    UnlockRefused(MailTokenDenial),
    /// Too many attempts of a kind; recorded once per window.
    Limited(LimitKind),
}

/// The change of the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAct {
    /// The next key was published.
    Publish,
    /// The next key signs, and its predecessor got an end.
    Rotate,
    /// A key was revoked at once.
    Revoke,
}

/// The operator's change of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminAct {
    /// Disabled; its sessions were revoked.
    Disable,
    /// Enabled again.
    Enable,
    /// All its sessions were revoked.
    LogOut,
    /// One of its sessions was revoked.
    EndSession,
    /// Removed with all its rows.
    Delete,
    /// Shown to the operator.
    Show,
    /// Its second factor was removed.
    RemoveFactor,
    /// Its counts of attempts, or those of a network, were cleared.
    ClearLimits,
    /// It got scopes or roles.
    Grant,
    /// It lost scopes or roles.
    Revoke,
    /// A custom claim was set.
    SetClaim,
    /// A custom claim was removed.
    UnsetClaim,
    /// It was created without a password, and its owner was invited.
    Invite,
    /// Accounts were listed.
    List,
}

/// The internal reason of a refused registration; the client gets no hint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistrationDenial {
    /// The address already has an account.
    AddressTaken,
}

/// The internal reason of a refused login; the client learns less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginDenial {
    /// The address has no account.
    UnknownAddress,
    /// The password is wrong.
    WrongPassword,
    /// The password is right, but the account is disabled.
    Disabled,
    /// The password is right, but the address is not verified.
    Unverified,
    /// The password is right, but too short without a second factor, and the account has none.
    ShortPassword,
    /// The password was right, but the second-factor code is wrong, or was used before.
    WrongCode,
    /// The login challenge is invalid or expired.
    BadChallenge,
}

/// The reason of a refused request about second factors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactorDenial {
    /// The current password is wrong.
    WrongPassword,
    /// The code is wrong, or was used before.
    WrongCode,
    /// A factor is already active.
    AlreadyActive,
    /// No factor exists for this request.
    NoFactor,
}

/// The reason why a password was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordChangeDenial {
    /// The current password is wrong.
    WrongPassword,
    /// The new password is rejected.
    PasswordRejected,
    /// The account changed concurrently, or the session has ended.
    Changed,
}

/// The reason why a refresh token was rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshDenial {
    /// The text is no refresh token of this host.
    NotOurs,
    /// Its session does not exist.
    NoSession,
    /// Its session was idle for too long, or is too old.
    Expired,
    /// All sessions of its account were revoked, or the account is disabled or removed.
    SessionsEnded,
    /// It does not match the stored state of its session.
    Unknown,
    /// It came in a cookie that failed the CSRF check.
    CrossSite,
}

impl AuditKind {
    /// A stable name of the action.
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
            Self::Administered(AdminAct::Show) => "admin_show",
            Self::Administered(AdminAct::RemoveFactor) => "admin_remove_factor",
            Self::Administered(AdminAct::ClearLimits) => "admin_clear_limits",
            Self::Administered(AdminAct::Grant) => "admin_grant",
            Self::Administered(AdminAct::Revoke) => "admin_revoke",
            Self::Administered(AdminAct::SetClaim) => "admin_set_claim",
            Self::Administered(AdminAct::UnsetClaim) => "admin_unset_claim",
            Self::Administered(AdminAct::Invite) => "admin_invite",
            Self::Administered(AdminAct::List) => "admin_list",
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
            Self::MailTokenIssued(MailPurpose::Invite) => "invite_token",
            Self::MailGivenUp(_) => "mail",
            Self::EmailVerified | Self::VerificationRefused(_) => "email_verify",
            Self::PasswordReset | Self::ResetRefused(_) => "password_reset",
            Self::Limited(_) => "limit",
        }
    }

    /// A stable name of the outcome.
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
            Self::MailGivenUp(MailKind::FactorAdded) => "factor_added_not_delivered",
            Self::MailGivenUp(MailKind::FactorRemoved) => "factor_removed_not_delivered",
            Self::MailGivenUp(MailKind::RecoveryCodesRenewed) => {
                "recovery_codes_renewed_not_delivered"
            }
            Self::MailGivenUp(MailKind::AccountDisabled) => "account_disabled_not_delivered",
            Self::MailGivenUp(MailKind::AccountEnabled) => "account_enabled_not_delivered",
            Self::MailGivenUp(MailKind::SessionsEnded) => "sessions_ended_not_delivered",
            Self::MailGivenUp(MailKind::SessionEnded) => "session_ended_not_delivered",
            Self::MailGivenUp(MailKind::AccountDeleted) => "account_deleted_not_delivered",
            Self::MailGivenUp(MailKind::PermissionsChanged) => "permissions_changed_not_delivered",
            Self::MailGivenUp(MailKind::Invite) => "invite_not_delivered",
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
            Self::LoginRefused(LoginDenial::ShortPassword) => "short_password",
        }
    }
}
