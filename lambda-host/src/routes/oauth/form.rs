//! The parameters of an OAuth request, each at most once ([RFC 6749 §3.2]).
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

use axum::body::Body;
use http::Request;
use portcullis_core::secret::Secret;

use crate::problem::{Problem, TokenProblem};
use crate::routes::body;
use crate::routes::request_body::{Members, RequestBody};

/// Reads the form of `request`.
///
/// # Errors
///
/// The [`Problem`] of the request, or a duplicate parameter. The problem of a declared parameter is
/// returned when the caller parses it.
pub(super) async fn read<B: RequestBody>(request: Request<Body>) -> Result<B, Problem> {
    let mut form = OauthForm::parse(&body::read_form(request).await?)?;
    Ok(B::take(&mut form))
}

/// Parameters by name; unknown ones are ignored, as the standard requires.
struct OauthForm(Vec<(String, Secret<String>)>);

impl OauthForm {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, Secret<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if parameters.iter().any(|(known, _)| *known == name) {
                // RFC 8707 §2: a client may name several resources. A token here has one audience.
                return Err(Problem::Token(match &*name {
                    "resource" => TokenProblem::InvalidTarget,
                    _ => TokenProblem::MalformedForm,
                }));
            }
            parameters.push((name.into_owned(), Secret::new(value.into_owned())));
        }
        Ok(Self(parameters))
    }

    /// The parameter `name`. One without a value counts as missing.
    fn remove(&mut self, name: &str) -> Option<Secret<String>> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.swap_remove(place);
        (!value.expose().is_empty()).then_some(value)
    }
}

impl Members for OauthForm {
    fn take(&mut self, name: &'static str) -> Result<Option<Secret<String>>, Problem> {
        Ok(self.remove(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_taken_once_and_an_empty_one_is_missing() {
        let mut form = OauthForm::parse(b"a=1&b=%20+x&c=&d").expect("a form");
        let mut take = |name| form.remove(name).map(|value| value.expose().clone());
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

    #[test]
    fn several_resources_are_an_invalid_target() {
        let read = OauthForm::parse(b"resource=a&b=1&resource=a").map(|_| ());
        assert_eq!(read, Err(Problem::Token(TokenProblem::InvalidTarget)));
    }

    proptest! {
        #[test]
        fn any_form_bytes_are_parsed_or_rejected_without_a_panic(bytes: Vec<u8>) {
            let _ = OauthForm::parse(&bytes);
        }
    }
}
