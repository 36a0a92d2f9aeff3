//! `{"email", "password"}`, the body of register, and in that of login.

use axum::body::Body;
use http::Request;
use portcullis_core::email::EmailAddress;
use portcullis_core::password::Password;

use crate::problem::Problem;
use crate::routes::json_body;
use crate::routes::request_body::{Required, request_body};

request_body! {
    /// An address and a password.
    #[schema(as = Credentials)]
    pub(super) struct CredentialsBody {
        /// An e-mail address.
        #[schema(max_length = 254, example = "ada@example.com")]
        email: Required,
        /// A new password has at least 15 characters, counted after NFC.
        #[schema(min_length = 1, max_length = 256, example = "correct horse battery staple")]
        password: Required,
    }
}

/// A well-formed address and password.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) email: EmailAddress,
    pub(super) password: Password,
}

impl Credentials {
    /// Reads them from the body of `request`.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that the body has.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Problem> {
        let body: CredentialsBody = json_body::read(request).await?;
        Self::parse(body.email, body.password)
    }

    /// Parses the two members.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that one of them has.
    pub(super) fn parse(email: Required, password: Required) -> Result<Self, Problem> {
        Ok(Self {
            email: email.email()?,
            password: password.password()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::problem::MemberName;
    use portcullis_core::email::EmailError;
    use portcullis_core::json::Json;
    use portcullis_core::password::PasswordError;

    use super::*;
    use proptest::prelude::*;

    fn parsed(json: &[u8]) -> Result<Credentials, Problem> {
        let body: CredentialsBody = json_body::parse(json)?;
        Credentials::parse(body.email, body.password)
    }

    #[test]
    fn a_credentials_body_has_exactly_an_address_and_a_password() {
        let read = parsed(br#"{"password":"secret","email":"Ann@Example.com"}"#);
        let read = read.expect("good");
        assert_eq!(read.email.as_str(), "ann@example.com");
        assert_eq!(read.password.as_bytes(), b"secret");
    }

    proptest! {
        #[test]
        fn any_body_bytes_are_parsed_or_rejected_without_a_panic(bytes: Vec<u8>, text: String) {
            let _ = parsed(&bytes);
            let quoted = Json::quote(&text);
            let _ = parsed(format!(r#"{{"email":{quoted},"password":{quoted}}}"#).as_bytes());
        }
    }

    #[test]
    fn each_malformed_credentials_body_has_its_error_code() {
        let long = format!(
            r#"{{"email":"a@b.example","password":"{}"}}"#,
            "x".repeat(257)
        );
        let cases: [(&[u8], Problem); 15] = [
            (b"", Problem::MalformedBody),
            (b"null", Problem::MalformedBody),
            (b"[]", Problem::MalformedBody),
            (
                br#"{"email":"a@b.example","password":"x""#,
                Problem::MalformedBody,
            ),
            (
                br#"{"email":"a@b.example","password":"x"}}"#,
                Problem::MalformedBody,
            ),
            (
                br#"{"email":"a@b.example","email":"a@b.example","password":"x"}"#,
                Problem::MalformedBody,
            ),
            (
                b"{\"email\":\"a@b.example\",\"password\":\"\xff\"}",
                Problem::MalformedBody,
            ),
            (
                br#"{"email":"a@b.example","password":"x","admin":true}"#,
                Problem::UnknownMember(MemberName::of("admin")),
            ),
            (
                br#"{"email":"a@b.example"}"#,
                Problem::MissingMember("password"),
            ),
            (br#"{"password":"x"}"#, Problem::MissingMember("email")),
            (
                br#"{"email":"a@b.example","password":null}"#,
                Problem::BadMember("password"),
            ),
            (
                br#"{"email":["a@b.example"],"password":"x"}"#,
                Problem::BadMember("email"),
            ),
            (
                br#"{"email":"a","password":"x"}"#,
                Problem::BadEmail(EmailError::NoAtSign),
            ),
            (
                br#"{"email":"a@b","password":"x"}"#,
                Problem::BadEmail(EmailError::BadDomain),
            ),
            (
                long.as_bytes(),
                Problem::BadPassword(PasswordError::TooLong),
            ),
        ];
        for (json, problem) in cases {
            let read = parsed(json).map(|_| ());
            assert_eq!(read, Err(problem), "{}", String::from_utf8_lossy(json));
        }
    }
}
