//! Accounts of simulated users.

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_service::ports::SecureRandom as _;
use portcullis_service::store::{Account, AccountStatus};

use crate::bounds::second;
use crate::crypto::hash_of;
use crate::world::SimWorld;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// An account that only its owner knows.
pub(crate) fn account(world: &SimWorld, email: &str) -> EmailAddress {
    let email = EmailAddress::parse(email).expect("an address");
    let password = Password::parse(&Secret::new(PASSWORD.to_owned())).expect("long enough");
    let user_id: Id = world.id().expect("chance");
    let account = Account {
        user_id,
        email: email.clone(),
        password: hash_of(&password),
        short_password: false,
        status: AccountStatus::Active,
        created_at: second(0, 0),
        verified_at: None,
        generation: 0,
        token_generation: 0,
        claims: AccountClaims::default(),
        version: 1,
    };
    let place = email.as_str().to_owned();
    world.tables.borrow_mut().accounts.insert(place, account);
    email
}
