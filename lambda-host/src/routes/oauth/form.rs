//! The parameters of an OAuth request, each at most once ([RFC 6749 §3.2]).
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

use axum::body::Body;
use http::Request;
use portcullis_core::secret::Secret;

use crate::problem::{Problem, TokenProblem};
use crate::routes::body;

/// Parameters by name; unknown ones are ignored, as the standard requires.
pub(super) struct OauthForm(Vec<(String, Secret<String>)>);

impl OauthForm {
    /// Reads the body of `request`.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that the body has.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Problem> {
        Self::parse(&body::read_form(request).await?)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, Secret<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Problem::Token(TokenProblem::MalformedForm));
            }
            parameters.push((name.into_owned(), Secret::new(value.into_owned())));
        }
        Ok(Self(parameters))
    }

    /// The parameter `name`. One without a value counts as missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Secret<String>> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.swap_remove(place);
        (!value.expose().is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_taken_once_and_an_empty_one_is_missing() {
        let mut form = OauthForm::parse(b"a=1&b=%20+x&c=&d").expect("a form");
        let mut take = |name| form.take(name).map(|value| value.expose().clone());
        assert_eq!(take("a").as_deref(), Some("1"));
        assert_eq!(take("a"), None);
        assert_eq!(take("b").as_deref(), Some("  x"));
        assert_eq!((take("c"), take("d"), take("e")), (None, None, None));
    }

    #[test]
    fn a_duplicate_parameter_rejects_the_form() {
        for bad in [&b"a=1&a=1"[..], b"a=1&b=2&%61=3", b"a&a="] {
            let read = OauthForm::parse(bad).map(|_| ());
            assert_eq!(read, Err(Problem::Token(TokenProblem::MalformedForm)));
        }
    }

    proptest! {
        #[test]
        fn any_form_bytes_are_parsed_or_rejected_without_a_panic(bytes: Vec<u8>) {
            let _ = OauthForm::parse(&bytes);
        }
    }
}
