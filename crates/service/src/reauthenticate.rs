//! Re-authentication with the password, before an action that a stolen token alone must not allow.

use portcullis_core::id::Id;
use portcullis_core::password::Password;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{HashVerdict, PasswordHasher};
use crate::store::{Account, AccountStatus, AccountStore};

/// The active account of `user_id`, if `password` is its password.
pub(crate) async fn reauthenticate<C>(
    user_id: &Id,
    password: &Password,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore, C>,
) -> Result<Option<Account>, UseCaseError> {
    let account = ctx.store.account_of(user_id).await?;
    let stored = account.as_ref().map(|account| &account.password);
    let right = match hasher.verify(password, stored).await? {
        HashVerdict::Matches | HashVerdict::MatchesOutdated => true,
        HashVerdict::Differs => false,
    };
    Ok(account.filter(|account| right && account.status == AccountStatus::Active))
}
