//! Feedback on a rejected new password.

use super::PasswordError;

/// The maximum number of suggestions.
pub const MAX_SUGGESTIONS: usize = 4;

/// The strength of a password, and suggestions. Never quotes the password.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StrengthFeedback {
    /// From 0 (among the first thousand guesses) to 4 (safe even offline).
    pub score: u8,
    /// The weakness.
    pub warning: Option<&'static str>,
    /// The suggestions.
    pub suggestions: [Option<&'static str>; MAX_SUGGESTIONS],
}

/// A rejected password: the broken rule, and feedback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PasswordRejection {
    /// The broken rule.
    pub error: PasswordError,
    /// The feedback.
    pub advice: StrengthFeedback,
}
