//! Password screening: the list of common passwords, the breached-password service and zxcvbn.

mod advice;
mod breach;

use portcullis_aws::breakers::CallStats;
use portcullis_common_passwords::is_listed;
use portcullis_core::breaker::BreakerState;
use portcullis_core::password::Password;
use portcullis_core::password::advice::StrengthFeedback;
use portcullis_service::ports::ScreeningUnavailable;
use portcullis_service::screen::PasswordScreen;
use tokio::task::spawn_blocking;
use tracing::warn;

pub use self::breach::{BreachFailMode, BreachRange};
use crate::error_chain::ErrorChain;
use crate::settings::PORTCULLIS_PWNED_PASSWORDS_URL;

/// Screens new passwords.
#[derive(Debug)]
pub struct HostScreen {
    breaches: Option<BreachRange>,
}

impl HostScreen {
    /// Screens with the breached-password service `breaches`, if one is set.
    pub const fn new(breaches: Option<BreachRange>) -> Self {
        Self { breaches }
    }

    /// The state of the breached-password service for metrics: its name, its breaker and its call
    /// statistics.
    pub(crate) fn state(&self) -> Option<(&'static str, (BreakerState, CallStats))> {
        let range = self.breaches.as_ref()?;
        Some((breach::NAME, range.state()))
    }
}

impl PasswordScreen for HostScreen {
    fn is_listed(&self, text: &str) -> bool {
        is_listed(text)
    }

    async fn is_breached(&self, password: &Password) -> Result<bool, ScreeningUnavailable> {
        let Some(range) = &self.breaches else {
            return Ok(false);
        };
        match (range.is_breached(password).await, range.unreachable()) {
            (Ok(known), _) => Ok(known),
            (Err(error), BreachFailMode::Open) => {
                warn!(
                    error = %ErrorChain(&error),
                    setting = PORTCULLIS_PWNED_PASSWORDS_URL,
                    "a new password was accepted without a breach check (fail open)"
                );
                Ok(false)
            }
            (Err(error), BreachFailMode::Closed) => {
                warn!(error = %ErrorChain(&error), setting = PORTCULLIS_PWNED_PASSWORDS_URL, "the breached-password service is unavailable (fail closed)");
                Err(ScreeningUnavailable)
            }
        }
    }

    async fn advise(&self, password: &Password, known: Vec<String>) -> StrengthFeedback {
        let password = password.clone();
        // zxcvbn computes for milliseconds, so it runs off the async threads.
        let advice = spawn_blocking(move || advice::of(&password, &known)).await;
        advice.unwrap_or_default()
    }
}
