//! The bodies of these endpoints.

use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::request_body::{Optional, Required, request_body};
use crate::routes::response::IssuedSecret;

request_body! {
    /// The current password again, because a stolen token alone must not change a factor.
    #[schema(as = CurrentPassword)]
    pub(super) struct PasswordBody {
        /// The current password.
        #[schema(max_length = 256, example = "correct horse battery")]
        current_password: Required,
    }
}

request_body! {
    /// The first code.
    #[schema(as = FirstCode)]
    pub(super) struct ConfirmBody {
        /// The code that the device shows.
        #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
        code: Required,
    }
}

request_body! {
    /// The current password, and one of the codes.
    #[schema(as = FactorProof)]
    pub(super) struct ProofBody {
        /// The current password.
        #[schema(max_length = 256, example = "correct horse battery")]
        current_password: Required,
        /// The code that the device shows; not together with a recovery code.
        #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
        code: Optional,
        /// A recovery code.
        #[schema(max_length = 32)]
        recovery_code: Optional,
    }
}

/// A pending factor.
#[derive(Serialize, ToSchema)]
#[schema(as = NewTotp)]
pub(super) struct NewTotpBody {
    /// The secret in base32, for manual entry.
    #[schema(value_type = String, example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    pub(super) secret: IssuedSecret,
    /// The secret as a URI, for a QR code.
    #[schema(
        value_type = String,
        example = "otpauth://totp/login.example:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=login.example&algorithm=SHA1&digits=6&period=30"
    )]
    pub(super) uri: IssuedSecret,
}

/// Recovery codes; each is valid for one login.
#[derive(Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(super) struct RecoveryBody {
    /// Ten codes.
    #[schema(value_type = Vec<String>, example = json!(["000g-40r4-zzzf-vz7v"]))]
    pub(super) recovery_codes: Vec<IssuedSecret>,
}

/// The active factors.
#[derive(Serialize, ToSchema)]
#[schema(as = Factors)]
pub(super) struct FactorsBody {
    /// Each with its type and its activation time.
    #[schema(inline)]
    pub(super) factors: Vec<FactorBody>,
    /// The number of unused recovery codes.
    #[schema(example = 10)]
    pub(super) recovery_codes_left: u64,
}

/// An active factor.
#[derive(Serialize, ToSchema)]
#[schema(as = Factor)]
pub(super) struct FactorBody {
    /// `totp`.
    #[schema(value_type = String, example = "totp")]
    pub(super) r#type: &'static str,
    /// The activation time, in seconds since 1970.
    #[schema(example = 1_795_435_200_u64)]
    pub(super) confirmed_at: u64,
}
