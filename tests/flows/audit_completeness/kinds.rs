//! Every kind of entry.

use portcullis_core::audit::{
    AdminAct, AuditKind, FactorDenial, KeyAct, LoginDenial, PasswordChangeDenial, RefreshDenial,
    RegistrationDenial,
};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::mail::{MailKind, MailPurpose, MailTokenDenial};

/// A kind that is not listed here does not compile.
macro_rules! kinds {
    ($($plain:ident),*; $($outer:ident($inner:ident: $($variant:ident),*)),*) => {
        const fn listed(kind: AuditKind) -> AuditKind {
            match kind {
                $(AuditKind::$plain => kind,)*
                $(AuditKind::$outer($($inner::$variant)|*) => kind,)*
                // `LimitKind::ALL` is generated with the kinds.
                AuditKind::Limited(_) => kind,
            }
        }

        pub(super) fn kinds() -> Vec<AuditKind> {
            let mut kinds = vec![
                $(listed(AuditKind::$plain),)*
                $($(listed(AuditKind::$outer($inner::$variant)),)*)*
            ];
            kinds.extend(LimitKind::ALL.iter().map(|scope| listed(AuditKind::Limited(*scope))));
            kinds
        }
    };
}

kinds! {
    Registered, LoggedIn, FactorAsked, FactorBegun, FactorConfirmed, FactorRemoved,
    RecoveryCodesRenewed, PasswordChanged, Imported, LoggedOut, SessionEnded,
    LoggedOutEverywhere, Refreshed, RefreshRepeated, RefreshReused, AccessTokenRevoked,
    RefreshTokenRevoked, ClientRefused, PasswordRehashed, VerificationRequested, ResetRequested,
    UnlockRequested, EmailVerified, PasswordReset, BrowserUnlocked;
    RegistrationRefused(RegistrationDenial: AddressTaken),
    LoginRefused(LoginDenial:
        UnknownAddress, WrongPassword, Disabled, Unverified, ShortPassword, WrongCode,
        BadChallenge),
    FactorRefused(FactorDenial: WrongPassword, WrongCode, AlreadyActive, NoFactor),
    PasswordChangeRefused(PasswordChangeDenial: WrongPassword, PasswordRejected, Changed),
    RefreshRefused(RefreshDenial: NotOurs, NoSession, Expired, SessionsEnded, Unknown, CrossSite),
    Administered(AdminAct: Disable, Enable, LogOut, EndSession, Delete, Show, RemoveFactor,
        ClearLimits, Grant, Revoke, SetClaim, UnsetClaim, Invite, List),
    KeysChanged(KeyAct: Publish, Rotate, Revoke),
    MailTokenIssued(MailPurpose: Verify, Reset, Unlock, Invite),
    MailGivenUp(MailKind: Verify, Reset, Unlock, AlreadyRegistered, PasswordChanged,
        FactorAdded, FactorRemoved, RecoveryCodesRenewed, AccountDisabled, AccountEnabled,
        SessionsEnded, SessionEnded, AccountDeleted, PermissionsChanged, Invite),
    VerificationRefused(MailTokenDenial: Unknown, Used, Expired, Disabled),
    ResetRefused(MailTokenDenial: Unknown, Used, Expired, Disabled),
    UnlockRefused(MailTokenDenial: Unknown, Used, Expired, Disabled)
}
