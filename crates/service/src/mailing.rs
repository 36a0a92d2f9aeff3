//! Mail, from the request to the handover to the mail provider.
//!
//! A request never looks up whether an address has an account. It writes a row to the outbox, the
//! same for every address, and responds. [`deliver`] reads the outbox in the background, finds the
//! account, and sends the mail or drops it.

pub mod deliver;
mod outbox;
pub mod redeem;
pub mod request;
mod templates;

pub(crate) use outbox::{mail, notice};
