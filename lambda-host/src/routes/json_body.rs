//! The members of a JSON body: each is taken once by its name, and none may be left.

use axum::body::Body;
use http::Request;
use portcullis_core::email::EmailAddress;
use portcullis_core::json::{Json, Object};
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;

use crate::problem::Problem;
use crate::routes::body;

/// A JSON object while it is parsed into a request.
///
/// SECURITY: take the secrets first, so that they are wiped even if the body is malformed.
pub(super) struct JsonBody(Object);

impl JsonBody {
    /// Reads the body of `request`.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that the body has.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Problem> {
        Self::parse(&body::read(request).await?)
    }

    pub(super) fn parse(json: &[u8]) -> Result<Self, Problem> {
        let members = Json::parse_object(json).map_err(|_| Problem::MalformedBody)?;
        Ok(Self(members))
    }

    /// The string member `name`.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.optional_text(name)?
            .ok_or(Problem::MissingMember(name))
    }

    /// The string member `name`, if present.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::BadMember(name)),
        }
    }

    /// The string member `name`, as a secret.
    pub(super) fn secret(&mut self, name: &'static str) -> Result<Secret<String>, Problem> {
        self.text(name).map(Secret::new)
    }

    /// The password in the member `name`.
    pub(super) fn password(&mut self, name: &'static str) -> Result<Password, Problem> {
        Password::parse(&self.secret(name)?).map_err(Problem::BadPassword)
    }

    /// The address in the member `name`.
    pub(super) fn email(&mut self, name: &'static str) -> Result<EmailAddress, Problem> {
        EmailAddress::parse(&self.text(name)?).map_err(Problem::BadEmail)
    }

    /// Rejects the body if an unknown member is left.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::UnknownMember)
        }
    }
}
