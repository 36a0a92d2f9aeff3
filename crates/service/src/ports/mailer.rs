//! The port that hands mail to whoever delivers it.

use core::fmt;

use portcullis_core::email::EmailAddress;
use portcullis_core::secret::Secret;
use thiserror::Error;

/// One mail to one person. Nothing in it can become a header: the address was parsed, the subject
/// is one line, and the rest is body.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Whom it is for.
    pub to: EmailAddress,
    /// What stands above it.
    pub subject: Subject,
    /// What it says, as text. It may hold a link that nobody else may see.
    pub text: Secret<String>,
    /// What it says, as HTML.
    pub html: Secret<String>,
}

/// One line of text: no control character, so no header can follow it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject(String);

impl Subject {
    /// The line of what is printable in `text`.
    pub fn new(text: &str) -> Self {
        let blank = |letter: char| if letter.is_control() { ' ' } else { letter };
        Self(text.chars().map(blank).collect())
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hands mail to whoever delivers it.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own implementation, so Send is inferred there"
)]
pub trait Mailer {
    /// Hands `mail` over. Done twice, it may arrive twice.
    ///
    /// # Errors
    ///
    /// [`MailError`].
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// A mail was not taken. Quotes nothing of it.
#[derive(Debug, Error)]
pub enum MailError {
    /// It will never be: the address or the mail itself is refused.
    #[error("the mail is refused")]
    Permanent(#[source] Cause),
    /// It may be later.
    #[error("the mail cannot be handed over now")]
    Transient(#[source] Cause),
    /// Nobody was asked: whoever takes mail has failed too often just now. It says nothing of
    /// this mail, and the next one would fare no better.
    #[error("nobody was asked to take the mail")]
    NotAsked(#[source] Cause),
}

/// Why, in the words of the implementation.
type Cause = Box<dyn core::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line() {
        let subject = Subject::new("Hello\r\nBcc: eve@example.com\u{85}\0");
        assert_eq!(subject.as_str(), "Hello  Bcc: eve@example.com  ");
    }
}
