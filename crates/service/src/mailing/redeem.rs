//! Redeems the token of a mailed link: its bearer can read the mail of the address.
//!
//! INVARIANT: a mailed link proves an address, never a password. Before the first proof of an
//! address anyone may have registered it, chosen its password and used the account. So the first
//! proof ends all that: see `proof::Proof::store`.

mod proof;
mod reset;
mod token;
mod unlock;
mod verify;

pub use self::proof::ProvenAddress;
pub use self::reset::{ResetOutcome, reset};
pub use self::token::Presented;
pub use self::unlock::{UnlockOutcome, unlock};
pub use self::verify::{PasswordEvidence, VerifyOutcome, verify};
