//! What is limited, by what, and how much of it passes where the operator says nothing else.

use core::time::Duration;

use crate::limit::Quota;

/// How many logins in a row may fail in one bucket ([NIST SP 800-63B-4 §3.2.2]).
///
/// [NIST SP 800-63B-4 §3.2.2]: https://pages.nist.gov/800-63-4/sp800-63b.html#throttle
pub const MAX_FAILURES: u32 = 100;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Declares [`LimitKind`] with each one's name and quota.
macro_rules! scopes {
    ($($(#[$doc:meta])* $scope:ident = $name:literal, $attempts:literal in $per:expr;)*) => {
        /// One kind of bucket: what is counted, and what it is counted by.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum LimitKind {
            $($(#[$doc])* $scope,)*
        }

        impl LimitKind {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$scope,)*];

            /// Its stable name, in rows and settings.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$scope => $name,)*
                }
            }

            /// What passes where the operator says nothing else.
            pub const fn default_quota(self) -> Quota {
                match self {
                    $(Self::$scope => Quota::of($attempts, Duration::from_secs($per)),)*
                }
            }
        }
    };
}

scopes! {
    /// Logins to an address from browsers that are not known.
    LoginEmail = "login_email", 10 in HOUR;
    /// Logins to an address from one browser that has logged in before.
    LoginDevice = "login_device", 10 in HOUR;
    /// Logins from one network.
    LoginAddress = "login_address", 100 in HOUR;
    /// Codes of the second factor, by account.
    FactorAccount = "factor_account", 5 in 15 * MINUTE;
    /// Registrations of an address.
    RegisterEmail = "register_email", 10 in HOUR;
    /// Registrations from one network.
    RegisterAddress = "register_address", 60 in HOUR;
    /// Mails asked for to an address: reset, verification.
    MailEmail = "mail_email", 5 in HOUR;
    /// Mails asked for from one network.
    MailAddress = "mail_address", 60 in HOUR;
    /// Mails that let the owner of a locked address in: twice as often as their links live, so that
    /// whoever is told of one finds one that is good for as long as the quota's span.
    UnlockEmail = "unlock_email", 1 in 30 * MINUTE;
    /// Mailed links brought back from one network.
    LinkAddress = "link_address", 60 in HOUR;
    /// Refreshes of one session.
    RefreshSession = "refresh_session", 30 in 5 * MINUTE;
    /// Refreshes from one network.
    RefreshAddress = "refresh_address", 3_000 in 10 * MINUTE;
    /// Times that a bearer is asked for the password again, by account.
    PasswordAccount = "password_account", 10 in HOUR;
    /// Calls of bearers for their own account, from one network.
    AccountAddress = "account_address", 600 in 10 * MINUTE;
    /// Clients that did not authenticate themselves, from one network.
    ClientAddress = "client_address", 30 in 15 * MINUTE;
}

impl LimitKind {
    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == name)
    }

    /// How many may fail in a row: wherever a password or a code is guessed for one account.
    pub const fn max_consecutive_failures(self) -> Option<u32> {
        match self {
            Self::LoginEmail | Self::LoginDevice | Self::FactorAccount => Some(MAX_FAILURES),
            Self::LoginAddress
            | Self::RegisterEmail
            | Self::RegisterAddress
            | Self::MailEmail
            | Self::MailAddress
            | Self::UnlockEmail
            | Self::LinkAddress
            | Self::RefreshSession
            | Self::RefreshAddress
            | Self::PasswordAccount
            | Self::AccountAddress
            | Self::ClientAddress => None,
        }
    }

    /// Whether an attempt can be given back: then the quota must be exact.
    pub const fn is_refundable(self) -> bool {
        self.max_consecutive_failures().is_some() || matches!(self, Self::PasswordAccount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_found_by_its_name_and_what_is_settled_is_exact() {
        for scope in LimitKind::ALL {
            assert_eq!(LimitKind::parse(scope.as_str()), Some(*scope));
            assert!(
                scope.default_quota().is_exact() || !scope.is_refundable(),
                "{scope:?}"
            );
        }
        assert_eq!(LimitKind::parse("everything"), None);
    }
}
