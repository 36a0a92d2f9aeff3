//! `{"email", "password"}`, the body of register and login.

use axum::body::Body;
use http::Request;
use portcullis_core::email::EmailAddress;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;

use crate::problem::Problem;
use crate::routes::body;
use crate::routes::json_body::JsonBody;
use crate::routes::refresh_cookie::TokenDelivery;

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
        Self::parse(&body::read(request).await?)
    }

    /// Reads them with the optional member of a login: the place of its refresh token.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that the body has.
    pub(super) async fn read_login(
        request: Request<Body>,
    ) -> Result<(Self, TokenDelivery), Problem> {
        let mut members = JsonBody::parse(&body::read(request).await?)?;
        let password = members.secret("password");
        let transport = TokenDelivery::take(&mut members);
        let credentials = Self::take(password, members)?;
        Ok((credentials, transport?))
    }

    fn parse(json: &[u8]) -> Result<Self, Problem> {
        let mut members = JsonBody::parse(json)?;
        // SECURITY: the password is taken first, so that it is wiped even if the body is malformed.
        // Both values are parsed after the members are known to be complete.
        let password = members.secret("password");
        Self::take(password, members)
    }

    fn take(
        password: Result<Secret<String>, Problem>,
        mut members: JsonBody,
    ) -> Result<Self, Problem> {
        let email = members.text("email");
        members.finish()?;
        let email = EmailAddress::parse(&email?).map_err(Problem::BadEmail)?;
        let password = Password::parse(&password?).map_err(Problem::BadPassword)?;
        Ok(Self { email, password })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::email::EmailError;
    use portcullis_core::json::Json;
    use portcullis_core::password::PasswordError;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_credentials_body_has_exactly_an_address_and_a_password() {
        let read = Credentials::parse(br#"{"password":"secret","email":"Ann@Example.com"}"#);
        let read = read.expect("good");
        assert_eq!(read.email.as_str(), "ann@example.com");
        assert_eq!(read.password.as_bytes(), b"secret");
    }

    proptest! {
        #[test]
        fn any_body_bytes_are_parsed_or_rejected_without_a_panic(bytes: Vec<u8>, text: String) {
            let _ = Credentials::parse(&bytes);
            let quoted = Json::quote(&text);
            let _ = Credentials::parse(format!(r#"{{"email":{quoted},"password":{quoted}}}"#).as_bytes());
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
                Problem::UnknownMember,
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
            let read = Credentials::parse(json).map(|_| ());
            assert_eq!(read, Err(problem), "{}", String::from_utf8_lossy(json));
        }
    }
}
