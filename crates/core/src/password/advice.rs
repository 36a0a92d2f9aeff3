//! The feedback for a rejected new password.

use super::PasswordError;

/// The maximum number of suggestions.
pub const MAX_SUGGESTIONS: usize = 4;

/// The guessability of a password, with suggestions for a better one. Never quotes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StrengthFeedback {
    /// From 0 (among the first thousand guesses) to 4 (resists offline guessing).
    pub score: u8,
    /// The reason why it is easy to guess.
    pub warning: Option<&'static str>,
    /// Suggestions for a better one.
    pub suggestions: [Option<&'static str>; MAX_SUGGESTIONS],
}

/// A rejected password: the reason and the feedback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PasswordRejection {
    /// The violated rule.
    pub error: PasswordError,
    /// Feedback on how to choose a better one.
    pub advice: StrengthFeedback,
}
