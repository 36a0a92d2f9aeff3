//! What becomes of a request.

use crate::denial::Denial;
use crate::token::claims::Claims;
use crate::token::verifier::Verified;

/// The answer to one request: let it through as someone, or refuse it and say why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a decision that nobody acts on lets the request through"]
pub enum Decision<'c> {
    /// Forward it, speaking for this bearer; `None` on an open route.
    Allow(Option<&'c Verified<Claims>>),
    /// Answer it here.
    Deny(Denial),
}

impl From<Denial> for Decision<'_> {
    fn from(denial: Denial) -> Self {
        Self::Deny(denial)
    }
}
