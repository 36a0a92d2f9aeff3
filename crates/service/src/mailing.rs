//! Mail, from the request that asks for one to the provider that takes it.
//!
//! A request never looks whether an address has an account: it writes a row in the outbox, the
//! same for every address, and is answered. [`deliver`] reads the outbox behind its back, finds
//! the account, and writes to it or to nobody.

pub mod deliver;
mod outbox;
pub mod redeem;
pub mod request;
mod templates;

pub(crate) use outbox::mail;
