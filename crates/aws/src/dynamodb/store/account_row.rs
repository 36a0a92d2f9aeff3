//! The row of an account.

use portcullis_core::account_claims::{AccountClaims, CustomClaims};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::time::UnixTime;
use portcullis_core::token::scope::{Roles, Scopes};
use portcullis_service::store::{Account, AccountStatus};

use super::columns::{
    ACTIVE, CREATED_AT, GENERATION, PASSWORD, REQUEST_ID, STATUS, USER_ID, VERIFIED_AT, VERSION,
};
use super::{RowError, id, time};
use crate::dynamodb::item::{Attribute, Item};

const DISABLED: &str = "disabled";
pub(super) const SCOPES: &str = "scopes";
pub(super) const ROLES: &str = "roles";
pub(super) const CLAIMS: &str = "claims";
pub(super) const TOKEN_GENERATION: &str = "token_generation";
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
    let row = claims_attributes(&account.claims)
        .into_iter()
        .fold(row, |row, (name, value)| row.with(name, value));
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

/// The attributes of `claims` that are not empty.
pub(super) fn claims_attributes(claims: &AccountClaims) -> Vec<(&'static str, Attribute)> {
    let AccountClaims {
        scopes,
        roles,
        custom,
    } = claims;
    [
        (SCOPES, scopes.is_empty(), scopes.to_string()),
        (ROLES, roles.is_empty(), roles.to_string()),
        (CLAIMS, custom.is_empty(), custom.to_string()),
    ]
    .into_iter()
    .filter(|(_, is_empty, _)| !is_empty)
    .map(|(name, _, text)| (name, Attribute::text(text)))
    .collect()
}

fn read_claims(row: &Item) -> Result<AccountClaims, RowError> {
    let scopes = row.optional_text(SCOPES)?.unwrap_or_default();
    let roles = row.optional_text(ROLES)?.unwrap_or_default();
    let custom = row.optional_text(CLAIMS)?.unwrap_or("{}");
    Ok(AccountClaims {
        scopes: Scopes::parse(scopes).map_err(|_denial| RowError::Value(SCOPES))?,
        roles: Roles::parse(roles).map_err(|_denial| RowError::Value(ROLES))?,
        custom: CustomClaims::parse(custom).map_err(|_error| RowError::Value(CLAIMS))?,
    })
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
        // A row of an account whose tokens were never revoked alone has none.
        token_generation: match row.optional_number(TOKEN_GENERATION)? {
            Some(own) => own,
            None => row.number(GENERATION)?,
        },
        claims: read_claims(row)?,
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
            token_generation: 3,
            claims: AccountClaims {
                scopes: Scopes::parse("admin read").unwrap(),
                roles: Roles::parse("editor").unwrap(),
                custom: CustomClaims::parse(r#"{"plan":"pro"}"#).unwrap(),
            },
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
    fn an_account_without_claims_has_no_attributes_for_them() {
        let plain = Account {
            claims: AccountClaims::default(),
            ..account()
        };
        let row = user_row(&plain, &Id::parse("r1").unwrap());
        assert!(
            [SCOPES, ROLES, CLAIMS]
                .iter()
                .all(|name| !row.contains(name))
        );
        let read = read_user(&row, &plain.email).unwrap();
        assert!(read.claims.is_empty());
        assert_eq!(read.token_generation, 3);
        let raised = row.with_number(TOKEN_GENERATION, 5);
        let read = read_user(&raised, &plain.email).unwrap();
        assert_eq!((read.generation, read.token_generation), (3, 5));
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
            (SCOPES, Attribute::text("a  b"), RowError::Value(SCOPES)),
            (ROLES, Attribute::text(" "), RowError::Value(ROLES)),
            (CLAIMS, Attribute::text("[]"), RowError::Value(CLAIMS)),
            (
                CLAIMS,
                Attribute::text(r#"{"iss":1}"#),
                RowError::Value(CLAIMS),
            ),
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
