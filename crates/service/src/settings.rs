//! What the operator of a host chose. A door reads it from its configuration.

use core::time::Duration;

use portcullis_core::limit::quotas::Quotas;

/// The limits of a host.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// How much passes.
    pub quotas: Quotas,
    /// What becomes of an attempt that cannot be counted.
    pub fail_mode: LimitFailMode,
}

/// What becomes of an attempt while the store does not count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LimitFailMode {
    /// It fails as everything else does.
    #[default]
    Closed,
    /// It passes uncounted: for those to whom an hour without logins is worse than an hour in
    /// which passwords can be tried.
    Open,
}

/// Everything that is the operator's to choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How access tokens are made out.
    pub issuing: Issuing,
    /// How long sessions live.
    pub sessions: Sessions,
    /// What a new password must be beyond the rules that always hold.
    pub passwords: PasswordRules,
    /// What mail says, and what it is for.
    pub mailing: Mailing,
    /// How much of what passes.
    pub limits: Limits,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// For how long a session may be left unused.
    pub idle: Duration,
    /// How long a session lives at the most, however often it is used.
    pub absolute: Duration,
    /// For how long a spent refresh token may come again.
    pub grace: Duration,
}

/// Two weeks unused, a month at the most, ten seconds for racers.
impl Default for Sessions {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            idle: day.saturating_mul(14),
            absolute: day.saturating_mul(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// What the operator says of new passwords.
#[derive(Clone, Debug, Default)]
pub struct PasswordRules {
    /// What the service is called: words that count for nothing in a password.
    pub services: Vec<String>,
    /// The least score, of 0 to 4, that a password must have; 0 asks for none.
    pub least_score: u8,
}

/// How the access tokens of this host are made out.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `client_id`.
    pub client_id: String,
    /// How long each is good for.
    pub lifetime: Duration,
}

/// What mail says, and what it is for.
#[derive(Clone, Debug)]
pub struct Mailing {
    /// What the service is called, to those who get its mail.
    pub service_name: String,
    /// The page that a mail to verify links to; the token goes behind a `#`.
    pub verify_page: String,
    /// The page that a mail to set a new password links to; the token goes behind a `#`.
    pub reset_page: String,
    /// The page that a mail to unlock links to; the token goes behind a `#`.
    pub unlock_page: String,
    /// How long a link to verify is good for, from when its mail leaves.
    pub verify_lifetime: Duration,
    /// How long a link to set a new password is good for, from when its mail leaves.
    pub reset_lifetime: Duration,
    /// How long a link to unlock is good for, from when its mail leaves.
    pub unlock_lifetime: Duration,
    /// Whether an address must be verified before anyone logs in with it.
    pub require_verified: bool,
}
