//! Issues an access token for a session.

use core::time::Duration;

use portcullis_core::secret::Secret;
use portcullis_core::session::Session;
use portcullis_core::token::draft::AccessTokenDraft;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{SecureRandom, SignError, Signer};
use crate::settings::Audience;
use crate::store::Account;

/// A signed access token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token itself.
    pub token: Secret<String>,
    /// Its lifetime.
    pub expires_in: Duration,
}

/// Signs an access token of `session` for `audience`, with the claims that `account` has now.
pub(crate) fn access_token<S>(
    (session, account): (&Session, &Account),
    audience: &Audience,
    signer: &impl Signer,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<AccessToken, UseCaseError> {
    let issuing = &ctx.settings.issuing;
    let draft = AccessTokenDraft {
        issuer: issuing.issuer.clone(),
        subject: session.user_id.clone(),
        audience: audience.as_str().to_owned(),
        client_id: issuing.client_id.clone(),
        token_id: ctx.random.id()?,
        session_id: session.id.clone(),
        generation: account.token_generation,
        authenticated_at: session.opened_at,
        methods: session.methods,
        issued_at: ctx.call.now,
        lifetime: issuing.lifetime,
        account: account.claims.clone(),
    };
    let key = signer.key();
    let (Some(algorithm), Some(key_id)) = (key.algorithm(), key.id()) else {
        return Err(SignError.into());
    };
    let input = draft.signing_input(algorithm, key_id);
    let signature = signer.sign(input.as_bytes())?;
    Ok(AccessToken {
        token: input.with_signature(&signature),
        expires_in: issuing.lifetime,
    })
}
