//! The accounts by the domain of their address: for the operator, not for requests.

use std::collections::BTreeMap;

use super::{Account, StoreError};

/// Counts and lists accounts.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait DomainStore {
    /// The number of accounts with an address of `domain`, in its ASCII form.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn accounts_of_domain(&self, domain: &str) -> Result<u64, StoreError>;

    /// The number of accounts by domain in one part of the table, which begins after `after`. Reads
    /// every row, page by page: the cost grows with the table.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn domain_page(&self, after: Option<PageCursor>) -> Result<DomainPage, StoreError>;

    /// The accounts in one part of the table, which begins after `after`. Costs as much as
    /// [`DomainStore::domain_page`].
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn account_page(&self, after: Option<PageCursor>) -> Result<AccountPage, StoreError>;
}

/// The accounts in one part of the table.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// The number of rows read.
    pub rows: u64,
    /// The start of the next part, if there is one.
    pub next: Option<PageCursor>,
}

/// One part of the table.
#[derive(Clone, Debug, Default)]
pub struct DomainPage {
    /// The number of its accounts by domain.
    pub accounts: BTreeMap<String, u64>,
    /// The number of rows read.
    pub rows: u64,
    /// The start of the next part, if there is one.
    pub next: Option<PageCursor>,
}

/// The end of a page, in the store's own format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageCursor(pub String);
