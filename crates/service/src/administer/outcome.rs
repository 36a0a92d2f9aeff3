//! The outcome of the operator's actions.

/// The attempts of an action on an account with concurrent changes.
pub(super) const MAX_ATTEMPTS: usize = 8;

/// The outcome of an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum AdminOutcome {
    /// The action is done, and every edge knows its revocations.
    Done,
    /// The account was already in this state; nothing was changed. Its revocations were announced
    /// again.
    Unchanged,
    /// The account does not exist.
    NoAccount,
    /// Concurrent updates exhausted the retries; nothing was done.
    Contended,
}
