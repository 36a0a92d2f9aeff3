//! What the endpoints take and give, for their descriptions.

use utoipa::ToSchema;

/// The current password again: a stolen token alone changes no factor.
#[derive(ToSchema)]
#[schema(as = CurrentPassword)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct PasswordBody {
    /// The account's password.
    #[schema(max_length = 256, example = "correct horse battery")]
    current_password: String,
}

/// A first code.
#[derive(ToSchema)]
#[schema(as = FirstCode)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct ConfirmBody {
    /// What the device shows.
    #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
    code: String,
}

/// The current password, and one of the codes.
#[derive(ToSchema)]
#[schema(as = FactorProof)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct ProofBody {
    /// The account's password.
    #[schema(max_length = 256, example = "correct horse battery")]
    current_password: String,
    /// What the device shows; not beside a recovery code.
    #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
    code: Option<String>,
    /// A code on paper.
    #[schema(max_length = 32)]
    recovery_code: Option<String>,
}

/// A factor that was begun.
#[derive(ToSchema)]
#[schema(as = NewTotp)]
#[expect(dead_code, reason = "describes what is written")]
pub(super) struct NewTotpBody {
    /// The secret in base32, for typing.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The secret as a URI, for a QR code.
    #[schema(
        example = "otpauth://totp/login.example:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=login.example&algorithm=SHA1&digits=6&period=30"
    )]
    uri: String,
}

/// Codes on paper, each good for one login.
#[derive(ToSchema)]
#[schema(as = RecoveryCodes)]
#[expect(dead_code, reason = "describes what is written")]
pub(super) struct RecoveryBody {
    /// Ten of them.
    #[schema(example = json!(["000g-40r4-zzzf-vz7v"]))]
    recovery_codes: Vec<String>,
}

/// The active factors.
#[derive(ToSchema)]
#[schema(as = Factors)]
#[expect(dead_code, reason = "describes what is written")]
pub(super) struct FactorsBody {
    /// Each with its type and when it became active.
    #[schema(inline)]
    factors: Vec<FactorBody>,
    /// How many recovery codes are not spent.
    #[schema(example = 10)]
    recovery_codes_left: u64,
}

/// An active factor.
#[derive(ToSchema)]
#[schema(as = Factor)]
#[expect(dead_code, reason = "describes what is written")]
struct FactorBody {
    /// `totp`.
    #[schema(value_type = String, example = "totp")]
    r#type: (),
    /// When it became active, in seconds since 1970.
    #[schema(example = 1_795_435_200_u64)]
    confirmed_at: u64,
}
