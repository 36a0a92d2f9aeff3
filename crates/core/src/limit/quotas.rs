//! The quotas of a deployment: defaults plus the operator's overrides.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::limit::kind::LimitKind;
use crate::limit::{Quota, QuotaError};

/// The quota of every limit kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    /// The overrides; `None` disables the limit.
    changed: BTreeMap<LimitKind, Option<Quota>>,
}

/// The list of quotas is invalid. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum QuotasError {
    /// An item is not `name=attempts/seconds` or `name=off`.
    #[error("each limit is name=attempts/seconds or name=off")]
    Malformed,
    /// A quota is invalid.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A limit kind is unknown.
    #[error("unknown limit")]
    Unknown,
    /// A limit kind is listed twice.
    #[error("a limit is listed twice")]
    Twice,
    /// The quota of such a kind is too large for an exact window.
    #[error("{0} takes at most 32 attempts")]
    TooLarge(&'static str),
}

impl Quotas {
    /// Disables all limits, for a host under test.
    pub fn off() -> Self {
        let changed = LimitKind::ALL.iter().map(|scope| (*scope, None)).collect();
        Self { changed }
    }

    /// Parses `login_email=5/600,register_address=off`; unlisted kinds keep their default. A single
    /// `off` disables all limits.
    ///
    /// # Errors
    ///
    /// [`QuotasError`].
    pub fn parse(text: &str) -> Result<Self, QuotasError> {
        if text.trim() == "off" {
            return Ok(Self::off());
        }
        let mut changed = BTreeMap::new();
        for part in text.split(',') {
            let (name, quota) = part.trim().split_once('=').ok_or(QuotasError::Malformed)?;
            let scope = LimitKind::parse(name).ok_or(QuotasError::Unknown)?;
            let quota = match quota {
                "off" => None,
                quota => Some(Quota::parse(quota)?),
            };
            if scope.needs_exact_window() && quota.is_some_and(|quota| !quota.is_exact()) {
                return Err(QuotasError::TooLarge(scope.as_str()));
            }
            if changed.insert(scope, quota).is_some() {
                return Err(QuotasError::Twice);
            }
        }
        Ok(Self { changed })
    }

    /// The quota of `scope`; `None` if the limit is disabled.
    pub fn of(&self, scope: LimitKind) -> Option<Quota> {
        let usual = || Some(scope.default_quota());
        self.changed.get(&scope).copied().unwrap_or_else(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_rate_limits_keep_their_defaults() {
        let quotas = Quotas::parse("login_email=5/600, register_address=off").expect("good");
        let reported = |scope| quotas.of(scope).map(|quota| quota.to_string());
        assert_eq!(reported(LimitKind::LoginEmail).as_deref(), Some("5/600"));
        assert_eq!(reported(LimitKind::RegisterAddress), None);
        assert_eq!(
            reported(LimitKind::LoginAddress).as_deref(),
            Some("100/3600")
        );
        let off = Quotas::parse("off").expect("good");
        assert!(LimitKind::ALL.iter().all(|scope| off.of(*scope).is_none()));
    }

    #[test]
    fn each_invalid_quota_list_has_its_own_error() {
        for (text, error) in [
            ("", QuotasError::Malformed),
            ("login_email", QuotasError::Malformed),
            ("login_email=5/600,", QuotasError::Malformed),
            ("logins=5/600", QuotasError::Unknown),
            ("login_email=5", QuotasError::Quota(QuotaError)),
            ("login_email=33/600", QuotasError::TooLarge("login_email")),
            ("login_email=5/600,login_email=off", QuotasError::Twice),
        ] {
            assert_eq!(Quotas::parse(text), Err(error), "{text}");
        }
    }
}
