//! The caller's own account.

use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::store::{Account, AccountStatus, AccountStore};

/// The account of `caller` as it is now; `None` if it is gone or disabled.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn account_of<C>(
    caller: &Verified<Claims>,
    ctx: ServiceContext<'_, impl AccountStore, C>,
) -> Result<Option<Account>, UseCaseError> {
    let Ok(user_id) = Id::parse(&caller.get().subject) else {
        return Ok(None);
    };
    let account = ctx.store.account_of(&user_id).await?;
    Ok(account.filter(|account| account.status == AccountStatus::Active))
}
