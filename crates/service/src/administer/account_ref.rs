//! The account that an operator addresses.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;

use crate::store::{Account, AccountStore, StoreError};

/// The account that an operator addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountRef {
    /// The account with this address.
    Email(EmailAddress),
    /// The account with this id.
    UserId(Id),
}

/// The account of `subject`, if it exists.
///
/// # Errors
///
/// [`StoreError`].
pub async fn find(
    subject: &AccountRef,
    store: &impl AccountStore,
) -> Result<Option<Account>, StoreError> {
    match subject {
        AccountRef::Email(email) => store.account(email).await,
        AccountRef::UserId(id) => store.account_of(id).await,
    }
}
