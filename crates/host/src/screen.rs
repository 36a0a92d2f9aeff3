//! What attackers try: the list of common passwords, the range of breached ones, and zxcvbn.

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
    /// With the breach range that the operator named, if any.
    pub const fn new(breaches: Option<BreachRange>) -> Self {
        Self { breaches }
    }

    /// The name of the breach range in metrics, how the way to it stands, and what went over it,
    /// if there is one.
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
        match (range.knows(password).await, range.unreachable()) {
            (Ok(known), _) => Ok(known),
            (Err(error), BreachFailMode::Open) => {
                warn!(
                    error = %ErrorChain(&error),
                    setting = PORTCULLIS_PWNED_PASSWORDS_URL,
                    "a new password was taken without asking about breaches"
                );
                Ok(false)
            }
            (Err(error), BreachFailMode::Closed) => {
                warn!(error = %ErrorChain(&error), setting = PORTCULLIS_PWNED_PASSWORDS_URL, "breaches cannot be asked about");
                Err(ScreeningUnavailable)
            }
        }
    }

    async fn advise(&self, password: &Password, known: Vec<String>) -> StrengthFeedback {
        let password = password.clone();
        // Milliseconds of computing: not on the threads that answer others.
        let advice = spawn_blocking(move || advice::of(&password, &known)).await;
        advice.unwrap_or_default()
    }
}
