//! The kinds of rate limits, their bucket keys and default quotas.

use core::time::Duration;

use crate::limit::Quota;

/// The maximum number of consecutive failed logins in one bucket ([NIST SP 800-63B-4 §3.2.2]).
///
/// [NIST SP 800-63B-4 §3.2.2]: https://pages.nist.gov/800-63-4/sp800-63b.html#throttle
pub const MAX_FAILURES: u32 = 100;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Declares [`LimitKind`] with the identifier and quota of each kind.
macro_rules! scopes {
    ($($(#[$doc:meta])* $scope:ident = $name:literal, $attempts:literal in $per:expr;)*) => {
        /// One kind of bucket: the counted attempts and the bucket key.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum LimitKind {
            $($(#[$doc])* $scope,)*
        }

        impl LimitKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$scope,)*];

            /// The stable identifier, in rows and settings.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$scope => $name,)*
                }
            }

            /// The quota without an operator setting.
            pub const fn default_quota(self) -> Quota {
                match self {
                    $(Self::$scope => Quota::of($attempts, Duration::from_secs($per)),)*
                }
            }
        }
    };
}

scopes! {
    /// Logins to an address from unknown browsers.
    LoginEmail = "login_email", 10 in HOUR;
    /// Logins to an address from one browser that logged in before.
    LoginDevice = "login_device", 10 in HOUR;
    /// Logins to an address from all known browsers together.
    LoginKnown = "login_known", 30 in HOUR;
    /// Logins of known browsers from one network.
    LoginKnownAddress = "login_known_address", 1_000 in HOUR;
    /// Logins of unknown browsers from one network.
    LoginAddress = "login_address", 100 in HOUR;
    /// TOTP codes, by second factor.
    FactorAccount = "factor_account", 5 in 15 * MINUTE;
    /// Recovery codes, by second factor. They cannot be guessed, so they have no lock, and open a
    /// locked factor.
    RecoveryAccount = "recovery_account", 5 in 15 * MINUTE;
    /// Registrations of an address.
    RegisterEmail = "register_email", 10 in HOUR;
    /// Registrations from one network.
    RegisterAddress = "register_address", 60 in HOUR;
    /// Reset mails requested for an address. The window is no longer than the lifetime of a link, so
    /// the owner always has a valid link or can request one, however many requests others send.
    ResetEmail = "reset_email", 3 in 30 * MINUTE;
    /// Verification mails requested for an address. Counted apart from reset mails, so that one kind
    /// of request does not prevent the other.
    VerifyEmail = "verify_email", 5 in HOUR;
    /// Mails requested from one network.
    MailAddress = "mail_address", 60 in HOUR;
    /// Login links mailed to the owner of a locked address: twice per link lifetime, so the latest
    /// link stays valid for as long as the quota's window.
    UnlockEmail = "unlock_email", 1 in 30 * MINUTE;
    /// Redeemed mailed links from one network.
    LinkAddress = "link_address", 60 in HOUR;
    /// Refreshes of one session.
    RefreshSession = "refresh_session", 30 in 5 * MINUTE;
    /// Refreshes from one network.
    RefreshAddress = "refresh_address", 3_000 in 10 * MINUTE;
    /// Refresh tokens that no host issued for their transport, from one network. Beyond the quota
    /// they get the same response, and no audit entry each.
    RefreshRefused = "refresh_refused", 10 in 10 * MINUTE;
    /// Invalid challenges of a second step, from one network. As [`LimitKind::RefreshRefused`].
    ChallengeRefused = "challenge_refused", 10 in 10 * MINUTE;
    /// Password confirmations of a logged-in user, by account.
    PasswordAccount = "password_account", 10 in HOUR;
    /// Calls of bearers for their own account, from one network.
    AccountAddress = "account_address", 600 in 10 * MINUTE;
    /// Failed client authentications from one network.
    ClientAddress = "client_address", 30 in 15 * MINUTE;
}

impl LimitKind {
    /// The kind with that identifier.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == name)
    }

    /// The maximum number of consecutive failures, for kinds that limit guesses of a password or a
    /// code for one account.
    pub const fn max_consecutive_failures(self) -> Option<u32> {
        match self {
            Self::LoginEmail | Self::LoginDevice | Self::FactorAccount => Some(MAX_FAILURES),
            Self::LoginKnown
            | Self::LoginKnownAddress
            | Self::LoginAddress
            | Self::RegisterEmail
            | Self::RegisterAddress
            | Self::ResetEmail
            | Self::VerifyEmail
            | Self::RecoveryAccount
            | Self::MailAddress
            | Self::UnlockEmail
            | Self::LinkAddress
            | Self::RefreshSession
            | Self::RefreshAddress
            | Self::RefreshRefused
            | Self::ChallengeRefused
            | Self::PasswordAccount
            | Self::AccountAddress
            | Self::ClientAddress => None,
        }
    }

    /// Whether its bucket is the network of the client.
    pub const fn counts_networks(self) -> bool {
        match self {
            Self::LoginKnownAddress
            | Self::LoginAddress
            | Self::RegisterAddress
            | Self::MailAddress
            | Self::LinkAddress
            | Self::RefreshAddress
            | Self::RefreshRefused
            | Self::ChallengeRefused
            | Self::AccountAddress
            | Self::ClientAddress => true,
            Self::LoginEmail
            | Self::LoginDevice
            | Self::LoginKnown
            | Self::FactorAccount
            | Self::RecoveryAccount
            | Self::RegisterEmail
            | Self::ResetEmail
            | Self::VerifyEmail
            | Self::UnlockEmail
            | Self::RefreshSession
            | Self::PasswordAccount => false,
        }
    }

    /// Whether the quota must fit into an exact window: attempts are refunded, and a guess too many
    /// at the border of two windows would matter.
    pub const fn needs_exact_window(self) -> bool {
        self.max_consecutive_failures().is_some()
            || matches!(
                self,
                Self::PasswordAccount | Self::LoginKnown | Self::RecoveryAccount
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_kind_is_found_by_identifier_and_limits_of_guesses_are_exact() {
        for scope in LimitKind::ALL {
            assert_eq!(LimitKind::parse(scope.as_str()), Some(*scope));
            assert!(
                scope.default_quota().is_exact() || !scope.needs_exact_window(),
                "{scope:?}"
            );
        }
        assert_eq!(LimitKind::parse("everything"), None);
    }

    #[test]
    fn the_kinds_that_count_networks_are_those_of_addresses_and_of_garbage() {
        for kind in LimitKind::ALL {
            let name = kind.as_str();
            let counts = name.ends_with("_address") || name.ends_with("_refused");
            assert_eq!(kind.counts_networks(), counts, "{name}");
        }
    }
}
