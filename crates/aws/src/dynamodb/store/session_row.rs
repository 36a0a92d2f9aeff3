//! The rows of a session: its own next to the account, and the locator that finds it.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::session::{Device, Methods, Session};

use super::columns::{GENERATION, REQUEST_ID, SESSION_ID, USER_ID};
use super::{RowError, id, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, TTL};

pub(super) const REFRESH_HASH: &str = "refresh_hash";
const OPENED_AT: &str = "opened_at";
const ENDS_AT: &str = "ends_at";
/// The factors verified in addition to the password.
const SECOND: &str = "second";
const DEVICE: &str = "device";
const CLIENT_ADDRESS: &str = "client_address";
const REFRESH_GENERATION: &str = "refresh_generation";
const ADVANCED_AT: &str = "advanced_at";
pub(super) const SUCCESSOR: &str = "successor";
const LOCATED_PARTITION: &str = "session_pk";
const LOCATED_SORT: &str = "session_sk";

/// The session's row. `generation` is the account's; `ttl` is its expiry if it is not used again.
pub(super) fn session_row(session: &Session, request_id: &Id) -> Item {
    let row = Item::new()
        .with_text(SESSION_ID, session.id.as_str())
        .with_text(USER_ID, session.user_id.as_str())
        .with_number(OPENED_AT, session.opened_at.as_secs())
        .with_number(ENDS_AT, session.ends_at.as_secs())
        .with_number(GENERATION, session.generation)
        .with_text(DEVICE, session.device.as_str())
        .with_text(CLIENT_ADDRESS, session.client_address.as_str())
        .with_text(REQUEST_ID, request_id.as_str());
    let row = match session.methods.second() {
        Some(second) => row.with_text(SECOND, second),
        None => row,
    };
    head_attributes(&session.head)
        .into_iter()
        .fold(row, |row, (name, value)| row.with(name, value))
}

/// The current refresh token.
pub(super) fn head_attributes(head: &RefreshHead) -> Vec<(&'static str, Attribute)> {
    let mut attributes = vec![
        (REFRESH_GENERATION, Attribute::number(head.generation)),
        (REFRESH_HASH, Attribute::bytes(&head.hash)),
        (ADVANCED_AT, Attribute::number(head.advanced_at.as_secs())),
        (TTL, Attribute::number(head.idle_ends_at.as_secs())),
    ];
    if let Some(sealed) = &head.sealed {
        attributes.push((SUCCESSOR, Attribute::text(sealed.as_str())));
    }
    attributes
}

/// The session of `row`, opened with `email`.
pub(super) fn read_session(row: &Item, email: &EmailAddress) -> Result<Session, RowError> {
    let hash = row.bytes(REFRESH_HASH)?;
    let hash = <[u8; 32]>::try_from(hash).map_err(|_odd| RowError::Value(REFRESH_HASH))?;
    Ok(Session {
        id: id(row, SESSION_ID)?,
        user_id: id(row, USER_ID)?,
        email: email.clone(),
        opened_at: time(row, OPENED_AT)?,
        ends_at: time(row, ENDS_AT)?,
        methods: Methods::of_second(row.optional_text(SECOND)?).ok_or(RowError::Value(SECOND))?,
        generation: row.number(GENERATION)?,
        device: Device::new(row.text(DEVICE)?),
        client_address: row.text(CLIENT_ADDRESS)?.to_owned(),
        head: RefreshHead {
            generation: row.number(REFRESH_GENERATION)?,
            hash,
            advanced_at: time(row, ADVANCED_AT)?,
            idle_ends_at: time(row, TTL)?,
            sealed: row.optional_text(SUCCESSOR)?.map(str::to_owned),
        },
    })
}

pub(super) fn locator_row(session: &Session, key: &Key, request_id: &Id) -> Item {
    Item::new()
        .with_text(LOCATED_PARTITION, key.partition())
        .with_text(LOCATED_SORT, key.sort())
        .with_text(REQUEST_ID, request_id.as_str())
        .with_number(TTL, session.ends_at.as_secs())
}

/// The session key to which `locator` points.
pub(super) fn located(locator: &Item) -> Result<Key, RowError> {
    let partition = locator.text(LOCATED_PARTITION)?;
    let sort = locator.text(LOCATED_SORT)?;
    Key::located_session(partition, sort).ok_or(RowError::Value(LOCATED_PARTITION))
}

/// The address of the account that owns the session under `key`.
pub(super) fn email_of(key: &Key) -> Result<EmailAddress, RowError> {
    let email = key.partition().strip_prefix("USER#");
    email
        .and_then(|email| EmailAddress::parse(email).ok())
        .ok_or(RowError::Value(LOCATED_PARTITION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::time::UnixTime;

    use crate::dynamodb::item::ItemError;

    fn session() -> Session {
        Session {
            id: Id::parse("s1").unwrap(),
            user_id: Id::parse("u1").unwrap(),
            email: EmailAddress::parse("ada@example.com").unwrap(),
            opened_at: UnixTime::from_secs(1_000),
            ends_at: UnixTime::from_secs(2_000),
            methods: Methods::Totp,
            generation: 3,
            device: Device::new("curl/8"),
            client_address: "192.0.2.1".to_owned(),
            head: RefreshHead {
                generation: 7,
                hash: [8; 32],
                advanced_at: UnixTime::from_secs(1_500),
                idle_ends_at: UnixTime::from_secs(1_900),
                sealed: Some("sealed".to_owned()),
            },
        }
    }

    #[test]
    fn a_session_survives_the_round_trip_through_its_row() {
        let first = Session {
            methods: Methods::Password,
            head: RefreshHead {
                sealed: None,
                ..session().head
            },
            ..session()
        };
        for session in [session(), first] {
            let row = session_row(&session, &Id::parse("r1").unwrap());
            let read = read_session(&row, &session.email).unwrap();
            assert_eq!(format!("{read:?}"), format!("{session:?}"));
            assert!(read.head == session.head);
        }
    }

    #[test]
    fn an_invalid_session_row_is_an_error_that_names_the_attribute() {
        let row = session_row(&session(), &Id::parse("r1").unwrap());
        for (name, value, error) in [
            (
                REFRESH_HASH,
                Attribute::bytes(&[8; 31]),
                RowError::Value(REFRESH_HASH),
            ),
            (TTL, Attribute::text("9"), ItemError::Type(TTL).into()),
            (USER_ID, Attribute::text("#"), RowError::Value(USER_ID)),
            (SECOND, Attribute::text("pwd"), RowError::Value(SECOND)),
            (
                SUCCESSOR,
                Attribute::number(1),
                ItemError::Type(SUCCESSOR).into(),
            ),
        ] {
            let read = read_session(&row.clone().with(name, value), &session().email);
            assert_eq!(read.unwrap_err(), error);
        }
    }

    #[test]
    fn a_session_locator_lives_until_the_maximum_session_expiry() {
        let session = session();
        let request_id = Id::parse("r1").unwrap();
        let key = Key::session(&session.email, session.opened_at, &session.id);
        let locator = locator_row(&session, &key, &request_id);
        assert!(located(&locator).as_ref() == Ok(&key));
        let row = session_row(&session, &request_id);
        assert_eq!(row.number("ttl"), Ok(1_900));
        assert_eq!(locator.number("ttl"), Ok(2_000));
        assert_eq!(email_of(&key).unwrap().as_str(), "ada@example.com");
    }

    #[test]
    fn a_locator_that_points_to_no_session_is_rejected() {
        for (partition, sort) in [
            ("USER#ada@example.com", "PROFILE"),
            ("AUDIT#2026-11-23#0", "SESSION#x"),
            ("", ""),
        ] {
            let locator = Item::new()
                .with_text(LOCATED_PARTITION, partition)
                .with_text(LOCATED_SORT, sort);
            assert_eq!(
                located(&locator),
                Err(RowError::Value(LOCATED_PARTITION)),
                "{partition}"
            );
        }
        assert!(located(&Item::new()).is_err());
    }
}
