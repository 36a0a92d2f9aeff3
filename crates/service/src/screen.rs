//! Screens a new password by the operator's rules, the lists of common passwords and its strength.

use portcullis_core::password::advice::{PasswordRejection, StrengthFeedback};
use portcullis_core::password::rules::PasswordContext;
use portcullis_core::password::{Password, PasswordError};

use crate::ports::ScreeningUnavailable;
use crate::settings::PasswordRules;

/// The knowledge of common and breached passwords.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own implementation, so Send is inferred there"
)]
pub trait PasswordScreen {
    /// Whether `text` is on a list of common passwords, in any case.
    fn is_listed(&self, text: &str) -> bool;

    /// Whether the password is known from a breach. Without a configured service it is not.
    ///
    /// # Errors
    ///
    /// [`ScreeningUnavailable`] if the service did not respond and the operator set fail closed.
    async fn is_breached(&self, password: &Password) -> Result<bool, ScreeningUnavailable>;

    /// The strength of the password against an attacker who also tries the words `known`, and
    /// feedback for a stronger one.
    async fn advise(&self, password: &Password, known: Vec<String>) -> StrengthFeedback;
}

/// The reason to reject `password` for the account of `context`, with feedback; `None` if it is
/// accepted. For registration, change and reset alike: before hashing.
///
/// # Errors
///
/// [`ScreeningUnavailable`]; the password is neither accepted nor rejected then.
pub async fn screen_password(
    password: &Password,
    context: &PasswordContext<'_>,
    rules: &PasswordRules,
    screen: &impl PasswordScreen,
) -> Result<Option<PasswordRejection>, ScreeningUnavailable> {
    let broken = match password.check(context) {
        Err(error) => Some(error),
        Ok(()) => on_a_list(password, screen).await?,
    };
    if broken.is_none() && rules.least_score == 0 {
        return Ok(None);
    }
    let mut known = context.address_words();
    known.extend(context.service_words());
    let advice = screen.advise(password, known).await;
    // NIST SP 800-63B-4 defines no score: it rejects only if the operator sets a minimum.
    let weak = (advice.score < rules.least_score).then_some(PasswordError::TooWeak);
    Ok(broken
        .or(weak)
        .map(|error| PasswordRejection { error, advice }))
}

async fn on_a_list(
    password: &Password,
    screen: &impl PasswordScreen,
) -> Result<Option<PasswordError>, ScreeningUnavailable> {
    let listed = [Some(password.as_text()), password.repeated_unit()];
    if listed
        .into_iter()
        .flatten()
        .any(|text| screen.is_listed(text.trim()))
    {
        return Ok(Some(PasswordError::Common));
    }
    let breached = screen.is_breached(password).await?;
    Ok(breached.then_some(PasswordError::Breached))
}
