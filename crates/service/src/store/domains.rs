//! Who has accounts, by the domain of their address: for the operator, not for requests.

use std::collections::BTreeMap;

use super::StoreError;

/// Counts accounts.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait DomainStore {
    /// How many accounts have an address of `domain`, in its ASCII form.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn accounts_of_domain(&self, domain: &str) -> Result<u64, StoreError>;

    /// How many accounts of which domain one part of the table holds, beginning behind `after`.
    /// Reads every row there is, page by page: it costs what the table is large.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn domain_page(&self, after: Option<PageCursor>) -> Result<DomainPage, StoreError>;
}

/// One part of the table.
#[derive(Clone, Debug, Default)]
pub struct DomainPage {
    /// How many accounts it holds of which domain.
    pub accounts: BTreeMap<String, u64>,
    /// How many rows were looked at.
    pub rows: u64,
    /// Where the next part begins, if there is one.
    pub next: Option<PageCursor>,
}

/// Where a page ended, in the store's own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageCursor(pub String);
