//! The row of an account.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Account, AccountStatus};

use super::columns::{
    ACTIVE, CREATED_AT, GENERATION, PASSWORD, REQUEST_ID, STATUS, USER_ID, VERIFIED_AT, VERSION,
};
use super::{RowError, id, time};
use crate::dynamodb::item::{Attribute, Item};

const DISABLED: &str = "disabled";
pub(super) const EMAIL: &str = "email";
/// The password needs a second factor. The presence of the attribute counts, not its value.
pub(super) const SHORT_PASSWORD: &str = "short_password";

/// The user: the address as entered (the key contains its normal form), the hash as a PHC string,
/// times in seconds.
pub(super) fn user_row(account: &Account, request_id: &Id) -> Item {
    let row = Item::new()
        .with_text(USER_ID, account.user_id.as_str())
        .with_text(EMAIL, account.email.as_typed())
        .with_text(PASSWORD, account.password.as_phc())
        .with_text(STATUS, status_word(account.status))
        .with_number(CREATED_AT, account.created_at.as_secs())
        .with_number(GENERATION, account.generation)
        .with_number(VERSION, account.version)
        .with_text(REQUEST_ID, request_id.as_str());
    let row = match account.verified_at {
        Some(moment) => row.with_number(VERIFIED_AT, moment.as_secs()),
        None => row,
    };
    if account.short_password {
        row.with(SHORT_PASSWORD, Attribute::flag(true))
    } else {
        row
    }
}

pub(super) const fn status_word(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => ACTIVE,
        AccountStatus::Disabled => DISABLED,
    }
}

pub(super) fn read_user(row: &Item, asked: &EmailAddress) -> Result<Account, RowError> {
    let email = EmailAddress::from_store(row.text(EMAIL)?, asked).ok_or(RowError::Value(EMAIL))?;
    let password =
        PasswordHash::parse(row.text(PASSWORD)?).map_err(|_phc| RowError::Value(PASSWORD))?;
    let status = match row.text(STATUS)? {
        ACTIVE => AccountStatus::Active,
        DISABLED => AccountStatus::Disabled,
        _ => return Err(RowError::Value(STATUS)),
    };
    Ok(Account {
        user_id: id(row, USER_ID)?,
        email,
        password,
        short_password: row.contains(SHORT_PASSWORD),
        status,
        created_at: time(row, CREATED_AT)?,
        verified_at: row.optional_number(VERIFIED_AT)?.map(UnixTime::from_secs),
        generation: row.number(GENERATION)?,
        version: row.number(VERSION)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::ItemError;

    fn account() -> Account {
        Account {
            user_id: Id::parse("u1").unwrap(),
            email: EmailAddress::parse("Ada@Example.com").unwrap(),
            password: PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA").unwrap(),
            short_password: true,
            status: AccountStatus::Disabled,
            created_at: UnixTime::from_secs(1),
            verified_at: Some(UnixTime::from_secs(2)),
            generation: 3,
            version: 4,
        }
    }

    fn row() -> Item {
        user_row(&account(), &Id::parse("r1").unwrap())
    }

    #[test]
    fn an_account_survives_the_round_trip_through_its_row() {
        let read = read_user(&row(), &account().email).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", account()));
        assert_eq!(read.email.as_typed(), "Ada@Example.com");
        assert_eq!(read.password.as_phc(), account().password.as_phc());
    }

    #[test]
    fn an_unverified_account_has_no_verification_time() {
        let unverified = Account {
            verified_at: None,
            ..account()
        };
        let row = user_row(&unverified, &Id::parse("r1").unwrap());
        assert!(!row.contains(VERIFIED_AT));
        assert_eq!(read_user(&row, &account().email).unwrap().verified_at, None);
    }

    #[test]
    fn an_invalid_account_row_is_an_error_that_names_the_attribute() {
        for (name, value, error) in [
            (STATUS, Attribute::text("odd"), RowError::Value(STATUS)),
            (
                EMAIL,
                Attribute::text("eve@example.com"),
                RowError::Value(EMAIL),
            ),
            (
                PASSWORD,
                Attribute::text("plain"),
                RowError::Value(PASSWORD),
            ),
            (USER_ID, Attribute::text(""), RowError::Value(USER_ID)),
            (
                VERSION,
                Attribute::text("4"),
                ItemError::Type(VERSION).into(),
            ),
            (
                VERIFIED_AT,
                Attribute::flag(true),
                ItemError::Type(VERIFIED_AT).into(),
            ),
        ] {
            let read = read_user(&row().with(name, value), &account().email);
            assert_eq!(read.unwrap_err(), error);
        }
        let read = read_user(&Item::new(), &account().email);
        assert_eq!(read.unwrap_err(), ItemError::Missing(EMAIL).into());
    }
}
