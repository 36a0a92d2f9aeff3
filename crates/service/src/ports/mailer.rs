//! The port that hands mail to the mail provider.

use core::fmt;

use portcullis_core::email::EmailAddress;
use portcullis_core::secret::Secret;
use thiserror::Error;

/// One mail to one recipient. No part of it can become a header: the address was parsed, the
/// subject is one line, and the rest is the body.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The recipient.
    pub to: EmailAddress,
    /// The subject.
    pub subject: Subject,
    /// The text body. It may contain a secret link.
    pub text: Secret<String>,
    /// The HTML body.
    pub html: Secret<String>,
}

/// One line of text: without control characters, so it cannot inject a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject(String);

impl Subject {
    /// The printable characters of `text` as one line.
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

/// The header of every mail: no automatic system replies to it ([RFC 3834 §5]).
///
/// [RFC 3834 §5]: https://www.rfc-editor.org/rfc/rfc3834#section-5
pub const AUTO_SUBMITTED: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// Hands mail to the mail provider.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own implementation, so Send is inferred there"
)]
pub trait Mailer {
    /// Hands `mail` over. A repeated call may deliver it twice.
    ///
    /// # Errors
    ///
    /// [`MailError`].
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// A mail was not accepted. Quotes nothing of it.
#[derive(Debug, Error)]
pub enum MailError {
    /// Permanent: the address or the mail itself is rejected.
    #[error("the mail is rejected")]
    Permanent(#[source] Cause),
    /// Transient: a retry may succeed.
    #[error("the mail cannot be handed over now")]
    Transient(#[source] Cause),
    /// The provider was not called: its circuit breaker is open. This says nothing about the mail,
    /// and the next one would fail too.
    #[error("the mail provider was not called")]
    NotAsked(#[source] Cause),
}

/// The reason, in the words of the implementation.
type Cause = Box<dyn core::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line_and_injects_no_header() {
        let subject = Subject::new("Hello\r\nBcc: eve@example.com\u{85}\0");
        assert_eq!(subject.as_str(), "Hello  Bcc: eve@example.com  ");
    }
}
