//! Body schemas that several endpoints share, for their descriptions. The endpoints parse the
//! bodies themselves, more strictly than a derived parser.

use utoipa::ToSchema;

/// An address and a password.
#[derive(ToSchema)]
#[schema(as = Credentials)]
#[expect(dead_code, reason = "describes the input of `Credentials`")]
pub(crate) struct CredentialsBody {
    /// An e-mail address.
    #[schema(max_length = 254, example = "ada@example.com")]
    email: String,
    /// A new password has at least 15 characters, counted after NFC.
    #[schema(
        min_length = 1,
        max_length = 256,
        example = "correct horse battery staple"
    )]
    password: String,
}
