//! `/v1/factors`: the second factor of the caller's own account.

mod bodies;

use axum::body::Body;
use axum::response::Response;
use data_encoding::BASE32_NOPAD;
use http::{Request, StatusCode};
use portcullis_core::audit::FactorDenial;
use portcullis_core::factor::{RecoveryCode, TOTP_DIGITS, TOTP_STEP, TotpCode};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::secret::Secret;
use portcullis_service::factor::{self, FactorChange, FactorRefusal, NewTotp, Proof};
use portcullis_service::limit::{LimitKey, Reservation};

use self::bodies::{
    ConfirmBody, FactorBody, FactorsBody, NewTotpBody, PasswordBody, ProofBody, RecoveryBody,
};
use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, BODY, LIMITED, PASSWORD, STORE, TOKEN, problems};
use crate::problem::{MemberName, Problem};
use crate::routes::api_call::{ApiCall, OpenCall};
use crate::routes::caller;
use crate::routes::json_body;
use crate::routes::request_body::Optional;
use crate::routes::response::{empty, json};

problems!(ListProblems: ANY, STORE, LIMITED, TOKEN);
problems!(BeginProblems: ANY, BODY, PASSWORD, STORE, LIMITED, TOKEN, [
    Problem::WrongPassword, Problem::FactorActive, Problem::Busy,
]);
problems!(ConfirmProblems: ANY, BODY, STORE, LIMITED, TOKEN, [
    Problem::BadCode, Problem::WrongCode, Problem::FactorActive, Problem::NoFactor,
]);
problems!(ProofProblems: ANY, BODY, PASSWORD, STORE, LIMITED, TOKEN, [
    Problem::WrongPassword, Problem::BadCode, Problem::WrongCode, Problem::NoFactor, Problem::Busy,
]);

/// Lists the second factors of the account.
#[utoipa::path(
    get,
    path = "/v1/factors",
    tag = "factors",
    security(("bearer" = [])),
    responses((status = 200, description = "The active factors", body = FactorsBody), ListProblems)
)]
pub(super) async fn list(call: ApiCall, _request: Request<Body>) -> Result<Response, ApiError> {
    let caller = call.bearer().await?;
    let user_id = caller::user_id(&caller)?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let factors = open.run(factor::list(&user_id, ctx)).await?;
    let active = factors.active().and_then(|totp| totp.confirmed_at);
    let totp = active.map(|moment| FactorBody {
        r#type: "totp",
        confirmed_at: moment.as_secs(),
    });
    let left = match active {
        Some(_) => u64::try_from(factors.recovery.len()).unwrap_or_default(),
        None => 0,
    };
    let body = FactorsBody {
        factors: totp.into_iter().collect(),
        recovery_codes_left: left,
    };
    Ok(json(StatusCode::OK, &body))
}

/// Starts a TOTP factor (RFC 6238). The secret is returned this once. Logins ask for no code until
/// the factor is confirmed with a first code, within 15 minutes.
#[utoipa::path(
    post,
    path = "/v1/factors/totp",
    tag = "factors",
    security(("bearer" = [])),
    request_body = PasswordBody,
    responses((status = 200, description = "Begun", body = NewTotpBody), BeginProblems)
)]
pub(super) async fn begin(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let caller = call.bearer().await?;
    let body: PasswordBody = json_body::read(request).await?;
    let change = FactorChange {
        user_id: caller::user_id(&caller)?,
        password: body.current_password.password()?,
    };
    let open = call.open().await?;
    let ctx = open.ctx();
    let hasher = open.hasher();
    let place = password_attempt(&open, &change).await?;
    let begun = open.run(factor::begin(&change, &hasher, ctx)).await?;
    let totp = begun.map_err(problem)?;
    open.refund(&place).await;
    Ok(json(
        StatusCode::OK,
        &new_totp(&totp, &call.host().settings.issuing.issuer),
    ))
}

/// Activates the pending factor: from now on each login requires a code. Returns ten recovery
/// codes, this once.
#[utoipa::path(
    post,
    path = "/v1/factors/totp/confirm",
    tag = "factors",
    security(("bearer" = [])),
    request_body = ConfirmBody,
    responses((status = 200, description = "Active", body = RecoveryBody), ConfirmProblems)
)]
pub(super) async fn confirm(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let caller = call.bearer().await?;
    let body: ConfirmBody = json_body::read(request).await?;
    let code = TotpCode::parse(body.code.text()?.expose()).map_err(|_| Problem::BadCode)?;
    let user_id = caller::user_id(&caller)?;
    let open = call.open().await?;
    let ctx = open.ctx();
    // The caller just received the secret, so a guess here gains nothing.
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let confirmed = open.run(factor::confirm(&user_id, &code, ctx)).await?;
    Ok(recovery_codes(&confirmed.map_err(problem)?))
}

/// Removes the factor, with the password and a code or recovery code.
#[utoipa::path(
    delete,
    path = "/v1/factors/totp",
    tag = "factors",
    security(("bearer" = [])),
    request_body = ProofBody,
    responses((status = 204, description = "Removed"), ProofProblems)
)]
pub(super) async fn remove(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let (change, proof) = proved(&call, request).await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    let hasher = open.hasher();
    let place = password_attempt(&open, &change).await?;
    open.run(factor::remove(&change, &proof, &hasher, ctx))
        .await?
        .map_err(refusal)?;
    open.refund(&place).await;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Replaces the recovery codes, with the password and a code or recovery code; the old ones become
/// invalid.
#[utoipa::path(
    post,
    path = "/v1/factors/recovery-codes",
    tag = "factors",
    security(("bearer" = [])),
    request_body = ProofBody,
    responses((status = 200, description = "The new recovery codes; the old ones are invalid", body = RecoveryBody), ProofProblems)
)]
pub(super) async fn renew_recovery_codes(
    call: ApiCall,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let (change, proof) = proved(&call, request).await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    let hasher = open.hasher();
    let place = password_attempt(&open, &change).await?;
    let end = factor::renew_recovery_codes(&change, &proof, &hasher, ctx);
    let codes = open.run(end).await?.map_err(refusal)?;
    open.refund(&place).await;
    Ok(recovery_codes(&codes))
}

/// Counts a request that presents the account's password.
async fn password_attempt(
    open: &OpenCall<'_>,
    change: &FactorChange,
) -> Result<Reservation, ApiError> {
    let key = LimitKey::Account(&change.user_id);
    open.acquire_refundable(LimitKind::PasswordAccount, key)
        .await
}

/// Reads the [`ProofBody`] of an authenticated caller.
async fn proved(call: &ApiCall, request: Request<Body>) -> Result<(FactorChange, Proof), ApiError> {
    let caller = call.bearer().await?;
    let body: ProofBody = json_body::read(request).await?;
    let change = FactorChange {
        user_id: caller::user_id(&caller)?,
        password: body.current_password.password()?,
    };
    Ok((change, proof(body.code, body.recovery_code)?))
}

/// Parses `code` or `recovery_code`, exactly one.
pub(super) fn proof(code: Optional, recovery_code: Optional) -> Result<Proof, Problem> {
    match (code.text()?, recovery_code.text()?) {
        (Some(code), None) => TotpCode::parse(code.expose()).map(Proof::Totp),
        (None, Some(code)) => RecoveryCode::parse(code.expose()).map(Proof::Recovery),
        (None, None) => return Err(Problem::MissingMember("code")),
        (Some(_), Some(_)) => {
            return Err(Problem::UnknownMember(MemberName::of("recovery_code")));
        }
    }
    .map_err(|_| Problem::BadCode)
}

fn recovery_codes(codes: &[RecoveryCode]) -> Response {
    let codes = codes.iter().map(|code| code.to_text().into());
    let recovery_codes = codes.collect();
    json(StatusCode::OK, &RecoveryBody { recovery_codes })
}

/// The secret, and its [key URI] for authenticator apps.
///
/// [key URI]: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
fn new_totp(totp: &NewTotp, issuer: &str) -> NewTotpBody {
    let secret = Secret::new(BASE32_NOPAD.encode(totp.secret.expose()));
    let uri: Option<http::Uri> = issuer.parse().ok();
    let service = uri.as_ref().and_then(http::Uri::host).unwrap_or(issuer);
    let (service, account) = (escaped(service), escaped(totp.account.email.as_typed()));
    let uri = Secret::new(format!(
        "otpauth://totp/{service}:{account}?secret={}&issuer={service}&algorithm=SHA1&digits={}&period={}",
        secret.expose(),
        TOTP_DIGITS,
        TOTP_STEP.as_secs(),
    ));
    NewTotpBody {
        secret: secret.into(),
        uri: uri.into(),
    }
}

/// Percent-encodes all but the unreserved characters ([RFC 3986 §2.3]).
///
/// [RFC 3986 §2.3]: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn refusal(refusal: FactorRefusal) -> Problem {
    match refusal {
        FactorRefusal::Denied(denial) => problem(denial),
        FactorRefusal::Limited(limited) => limited.into(),
    }
}

const fn problem(denial: FactorDenial) -> Problem {
    match denial {
        FactorDenial::WrongPassword => Problem::WrongPassword,
        FactorDenial::WrongCode => Problem::WrongCode,
        FactorDenial::AlreadyActive => Problem::FactorActive,
        FactorDenial::NoFactor => Problem::NoFactor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::request_body::request_body;

    request_body! {
        /// The members that prove the factor.
        #[schema(as = Proof)]
        struct ProofMembers {
            /// A code.
            code: Optional,
            /// A recovery code.
            recovery_code: Optional,
        }
    }

    fn parsed(json: &[u8]) -> Result<Proof, Problem> {
        let body: ProofMembers = json_body::parse(json)?;
        proof(body.code, body.recovery_code)
    }

    #[test]
    fn a_proof_is_exactly_one_totp_or_recovery_code() {
        assert!(matches!(
            parsed(br#"{"code":"123 456"}"#),
            Ok(Proof::Totp(_))
        ));
        let recovery = parsed(br#"{"recovery_code":"0000-0000-0000-0000"}"#);
        assert!(matches!(recovery, Ok(Proof::Recovery(_))));
        for (json, problem) in [
            (&b"{}"[..], Problem::MissingMember("code")),
            (br#"{"code":"12345"}"#, Problem::BadCode),
            (br#"{"code":123456}"#, Problem::BadMember("code")),
            (br#"{"recovery_code":"0000"}"#, Problem::BadCode),
            (
                br#"{"code":"123456","recovery_code":"0000-0000-0000-0000"}"#,
                Problem::UnknownMember(MemberName::of("recovery_code")),
            ),
        ] {
            assert_eq!(parsed(json).err(), Some(problem));
        }
    }

    #[test]
    fn reserved_characters_of_a_key_uri_are_percent_encoded() {
        assert_eq!(escaped("a+b&c@x.example"), "a%2Bb%26c%40x.example");
        assert_eq!(escaped("\u{fc}"), "%C3%BC");
    }
}
