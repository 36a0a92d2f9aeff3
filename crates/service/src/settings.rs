//! The operator's settings of a host. An adapter reads them from its configuration.

use core::time::Duration;

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::limit::quotas::Quotas;

use crate::refused_sites::RefusedSites;

/// The rate limits of a host.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The quotas.
    pub quotas: Quotas,
    /// The handling of attempts that cannot be counted.
    pub fail_mode: LimitFailMode,
    /// The IPv6 sites that are refused now. State and no setting: all clones share it.
    pub refused_sites: RefusedSites,
}

/// The handling of attempts while the store cannot count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LimitFailMode {
    /// Fail closed: the attempt fails like every other request.
    #[default]
    Closed,
    /// Fail open: the attempt is allowed uncounted. For operators who prefer an hour of unlimited
    /// password attempts to an hour without logins.
    Open,
}

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The properties of access tokens.
    pub issuing: Issuing,
    /// The lifetimes of sessions.
    pub sessions: Sessions,
    /// The operator's rules for a new password.
    pub passwords: PasswordRules,
    /// The settings of mail.
    pub mailing: Mailing,
    /// The rate limits.
    pub limits: Limits,
    /// The scopes and roles of a new account.
    pub new_account_claims: AccountClaims,
}

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// The idle lifetime.
    pub idle: Duration,
    /// The absolute lifetime, independent of use.
    pub absolute: Duration,
    /// How long a used refresh token may be reused.
    pub grace: Duration,
}

/// 14 days idle, 30 days absolute, 10 s for concurrent refreshes.
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

/// The operator's rules for new passwords.
#[derive(Clone, Debug, Default)]
pub struct PasswordRules {
    /// The name of the service: its words do not count towards the strength of a password.
    pub services: Vec<String>,
    /// The minimum score of a password, 0 to 4; 0 disables the check.
    pub least_score: u8,
}

/// The properties of the access tokens of this host.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// `aud` of a token that names no resource.
    pub audience: String,
    /// Further audiences of tokens, for clients that name them as their resource.
    pub resources: Vec<String>,
    /// The audience of the account endpoints.
    pub account_audience: String,
    /// `client_id`.
    pub client_id: String,
    /// The lifetime of an access token.
    pub lifetime: Duration,
}

/// The one audience of an access token ([RFC 8707]): an API that receives the token cannot use it at
/// another one.
///
/// [RFC 8707]: https://www.rfc-editor.org/rfc/rfc8707
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audience(String);

impl Audience {
    /// The value of `aud`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Issuing {
    /// The audience of a token for the resource `named`; the default one without a name. `None` if
    /// no such resource is configured.
    pub fn audience_of(&self, named: Option<&str>) -> Option<Audience> {
        let Some(named) = named else {
            return Some(Audience(self.audience.clone()));
        };
        let known = self.audiences().any(|audience| audience == named);
        known.then(|| Audience(named.to_owned()))
    }

    /// The audience of the account endpoints.
    pub fn account(&self) -> Audience {
        Audience(self.account_audience.clone())
    }

    /// Every audience of the tokens of this host.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let further = self.resources.iter().map(String::as_str);
        [self.audience.as_str(), self.account_audience.as_str()]
            .into_iter()
            .chain(further)
    }
}

/// The settings of mail.
#[derive(Clone, Debug)]
pub struct Mailing {
    /// The name of the service in its mails.
    pub service_name: String,
    /// The page that a verification mail links to; the token follows a `#`.
    pub verify_page: String,
    /// The page that a mail for a new password links to; the token follows a `#`.
    pub reset_page: String,
    /// The page that an unlock mail links to; the token follows a `#`.
    pub unlock_page: String,
    /// The lifetime of a verification link, from when its mail is sent.
    pub verify_lifetime: Duration,
    /// The lifetime of a link for a new password, from when its mail is sent.
    pub reset_lifetime: Duration,
    /// The lifetime of an unlock link, from when its mail is sent.
    pub unlock_lifetime: Duration,
    /// The lifetime of the link in an invitation.
    pub invite_lifetime: Duration,
    /// Whether login requires a verified address.
    pub require_verified: bool,
    /// Whether the mailer delivers to local parts beyond ASCII (SMTPUTF8, RFC 6531).
    pub smtputf8: bool,
}
