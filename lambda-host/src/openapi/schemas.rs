//! The shapes of bodies that several endpoints share, for their descriptions. Reading and writing
//! them is the endpoints' own business: they are stricter than a derived reader.

use utoipa::ToSchema;

/// An address and a password.
#[derive(ToSchema)]
#[schema(as = Credentials)]
#[expect(dead_code, reason = "describes what `Credentials` reads")]
pub(crate) struct CredentialsBody {
    /// An address that mail can be sent to.
    #[schema(max_length = 254, example = "ada@example.com")]
    email: String,
    /// A new one needs 15 characters at least; counted after NFC.
    #[schema(
        min_length = 1,
        max_length = 256,
        example = "correct horse battery staple"
    )]
    password: String,
}
