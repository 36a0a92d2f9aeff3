//! The quotas of a deployment: the usual ones, but for what its operator says.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::limit::kind::LimitKind;
use crate::limit::{Quota, QuotaError};

/// Every scope's quota.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    /// What differs from the usual; `None` is no limit at all.
    changed: BTreeMap<LimitKind, Option<Quota>>,
}

/// The list of quotas cannot be used. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum QuotasError {
    /// A part is not `name=attempts/seconds` or `name=off`.
    #[error("each limit is name=attempts/seconds or name=off")]
    Malformed,
    /// A quota is none.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// There is no such limit.
    #[error("there is no limit of that name")]
    Unknown,
    /// One is named twice.
    #[error("a limit is named twice")]
    Twice,
    /// One whose attempts can be given back is larger than what is kept attempt by attempt.
    #[error("{0} takes at most 32 attempts")]
    TooLarge(&'static str),
}

impl Quotas {
    /// No limits at all: for a host under test.
    pub fn off() -> Self {
        let changed = LimitKind::ALL.iter().map(|scope| (*scope, None)).collect();
        Self { changed }
    }

    /// Reads `login_email=5/600,register_address=off`: what is not named stays as usual. `off`
    /// alone turns all of them off.
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
            if scope.is_refundable() && quota.is_some_and(|quota| !quota.is_exact()) {
                return Err(QuotasError::TooLarge(scope.as_str()));
            }
            if changed.insert(scope, quota).is_some() {
                return Err(QuotasError::Twice);
            }
        }
        Ok(Self { changed })
    }

    /// The quota of `scope`; `None` where there is no limit.
    pub fn of(&self, scope: LimitKind) -> Option<Quota> {
        let usual = || Some(scope.default_quota());
        self.changed.get(&scope).copied().unwrap_or_else(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_as_usual() {
        let quotas = Quotas::parse("login_email=5/600, register_address=off").expect("good");
        let told = |scope| quotas.of(scope).map(|quota| quota.to_string());
        assert_eq!(told(LimitKind::LoginEmail).as_deref(), Some("5/600"));
        assert_eq!(told(LimitKind::RegisterAddress), None);
        assert_eq!(told(LimitKind::LoginAddress).as_deref(), Some("100/3600"));
        let off = Quotas::parse("off").expect("good");
        assert!(LimitKind::ALL.iter().all(|scope| off.of(*scope).is_none()));
    }

    #[test]
    fn each_way_to_be_wrong_is_told() {
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
