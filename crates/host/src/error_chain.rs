//! One line for an error and its causes.

use core::error::Error;
use core::fmt;

/// An error with all its causes, on one line.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use portcullis_service::store::StoreError;

    use super::*;

    #[test]
    fn an_error_is_printed_with_its_causes_on_one_line() {
        let error = StoreError::new("reading an account", std::io::Error::other("refused"));
        assert_eq!(
            ErrorChain(&error).to_string(),
            "reading an account failed in the store: refused"
        );
    }
}
