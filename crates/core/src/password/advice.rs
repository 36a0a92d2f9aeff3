//! What somebody is told whose new password is not taken.

use super::PasswordError;

/// How many suggestions there are at most.
pub const MAX_SUGGESTIONS: usize = 4;

/// How easily a password is guessed, and how to choose a better one. Never quotes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StrengthFeedback {
    /// From 0 (among the first thousand guesses) to 4 (safe even offline).
    pub score: u8,
    /// What makes it easy to guess.
    pub warning: Option<&'static str>,
    /// What would be better.
    pub suggestions: [Option<&'static str>; MAX_SUGGESTIONS],
}

/// A password that an account may not have: why not, and what would be better.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PasswordRejection {
    /// The rule it breaks.
    pub error: PasswordError,
    /// How to choose a better one.
    pub advice: StrengthFeedback,
}
