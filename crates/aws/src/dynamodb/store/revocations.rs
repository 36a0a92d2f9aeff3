//! Revocations: one row for each under its target's key, and the feed that publishes it.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::revocation::{Revocation, RevocationTarget, Revocations, TokenIds};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Announced, RevocationStore, StoreError};

use super::audit::audit_row;
use super::columns::{GENERATION, REQUEST_ID};
use super::feed;
use super::{Committed, DynamoStore, RowError, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, TTL, Table};
use crate::dynamodb::write::{Expression, MAX_TRANSACTION_ITEMS, Transaction};
use crate::error::Reason;
use crate::transport::Transport;

impl<T: Transport> RevocationStore for DynamoStore<'_, T> {
    async fn revocations_of(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError> {
        const OPERATION: &str = "looking up revocations";
        let rows = self
            .client
            .rows(Table::Blacklist, &keys_of(token), self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        let found: Result<Revocations, RowError> = rows.iter().map(read_revocation).collect();
        let mut found = found.map_err(|error| StoreError::new(OPERATION, error))?;
        // DynamoDB deletes expired rows late.
        found.forget(self.now);
        Ok(found)
    }

    async fn feed(&self, from: UnixTime, to: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        const OPERATION: &str = "reading the revocation feed";
        let rows = feed::rows(self.client, from, to, self.shards.read, self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        rows.iter()
            .map(read_revocation)
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn put_revocation(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "storing a revocation";
        self.commit_revocations(OPERATION, revocations, stamp, event, |_nothing_more| {})
            .await
    }

    async fn announce(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        request_id: &Id,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "publishing revocations";
        for some in revocations.chunks(MAX_TRANSACTION_ITEMS) {
            let mut transaction = self.transaction();
            self.announce_by(&mut transaction, some, stamp, request_id);
            if let Committed::Refused(refusal) = self.commit(OPERATION, transaction).await? {
                return Err(StoreError::new(OPERATION, refusal));
            }
        }
        Ok(())
    }

    async fn announce_again(
        &self,
        revocation: &Revocation,
        since: UnixTime,
        stamp: UnixTime,
        request_id: &Id,
    ) -> Result<Announced, StoreError> {
        const OPERATION: &str = "publishing a repeated revocation";
        let key = Key::revocation(&revocation.target);
        let some = core::slice::from_ref(revocation);
        // Read first: DynamoDB charges a cancelled transaction like a committed one.
        let found = self.row_of(&key, OPERATION).await?;
        if found.is_some_and(|row| is_announced(&row, revocation, since)) {
            return Ok(Announced::Before);
        }
        let mut transaction = self.transaction();
        let row = stamped_row(revocation, stamp, request_id);
        transaction.put_if(&key, row, &not_announced(revocation, since));
        self.announce_by(&mut transaction, some, stamp, request_id);
        let refusal = match self.commit(OPERATION, transaction).await? {
            Committed::Done => return Ok(Announced::Written),
            Committed::Refused(refusal) => refusal,
        };
        if !refusal.reasons().first().is_some_and(Reason::is_condition) {
            return Err(StoreError::new(OPERATION, refusal));
        }
        // SECURITY: only a recent row spares the announcement. A subject's row of a higher
        // generation stays, and may be old.
        if let RevocationTarget::Subject { .. } = &revocation.target {
            let found = self.row_of(&key, OPERATION).await?;
            if !found.is_some_and(|row| is_stamped(&row, since)) {
                self.announce(some, stamp, request_id).await?;
                return Ok(Announced::Written);
            }
        }
        Ok(Announced::Before)
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// The committed row under `key`, by a consistent read.
    async fn row_of(&self, key: &Key, operation: &'static str) -> Result<Option<Item>, StoreError> {
        let found = self.client.row(key, self.now).await;
        found.map_err(|error| StoreError::new(operation, error))
    }

    /// Writes the feed rows of `revocations` in `transaction`.
    pub(super) fn announce_by(
        &self,
        transaction: &mut Transaction<'_>,
        revocations: &[Revocation],
        stamp: UnixTime,
        request_id: &Id,
    ) {
        for revocation in revocations {
            let key = Key::feed(&revocation.target, stamp, request_id, self.shards.write);
            transaction.put(&key, revocation_row(revocation, request_id));
        }
    }

    /// Writes revocations, their feed rows and the audit row in one transaction with the
    /// unconditional writes of `more`.
    pub(super) async fn commit_revocations(
        &self,
        operation: &'static str,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
        more: impl Fn(&mut Transaction<'_>),
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<&Revocation> = revocations.iter().collect();
        loop {
            let mut transaction = self.transaction();
            // First, so that the reasons of a failure begin with theirs.
            for revocation in &wanted {
                revoke(&mut transaction, revocation, stamp, &event.request_id);
            }
            self.announce_by(&mut transaction, revocations, stamp, &event.request_id);
            more(&mut transaction);
            transaction.put(&Key::audit(event), audit_row(event));
            let refusal = match self.commit(operation, transaction).await? {
                Committed::Done => return Ok(()),
                Committed::Refused(refusal) => refusal,
            };
            // A revocation with a higher generation stays unchanged.
            let before = wanted.len();
            let mut reasons = refusal.reasons().iter();
            wanted.retain(|_| !reasons.next().is_some_and(Reason::is_condition));
            if wanted.len() == before {
                return Err(StoreError::new(operation, refusal));
            }
        }
    }
}

/// Writes the row of one revocation, whose feed row in the same transaction has this `stamp`. The
/// row of a subject never falls back to an older generation, in any order of arrival.
pub(super) fn revoke(
    transaction: &mut Transaction<'_>,
    revocation: &Revocation,
    stamp: UnixTime,
    request_id: &Id,
) {
    let key = Key::revocation(&revocation.target);
    let row = stamped_row(revocation, stamp, request_id);
    match &revocation.target {
        RevocationTarget::Token(_) | RevocationTarget::Session(_) | RevocationTarget::Key(_) => {
            transaction.put(&key, row);
        }
        RevocationTarget::Subject { generation, .. } => {
            let not_weaker =
                Expression::of("attribute_not_exists(#PK) OR #generation <= :generation")
                    .with(":generation", Attribute::number(*generation));
            transaction.put_if(&key, row, &not_weaker);
        }
    }
}

/// The condition on the row of `revocation` that it covers no feed row stamped `since` or later. It
/// fails for a subject's row of a higher generation.
fn not_announced(revocation: &Revocation, since: UnixTime) -> Expression {
    const STALE: &str =
        "attribute_not_exists(#PK) OR attribute_not_exists(#stamp) OR #stamp < :since";
    const SUBJECT_STALE: &str = "attribute_not_exists(#PK) OR #generation < :generation OR \
         (#generation = :generation AND (attribute_not_exists(#stamp) OR #stamp < :since))";
    let condition = match &revocation.target {
        RevocationTarget::Token(_) | RevocationTarget::Session(_) | RevocationTarget::Key(_) => {
            Expression::of(STALE)
        }
        RevocationTarget::Subject { generation, .. } => {
            Expression::of(SUBJECT_STALE).with(":generation", Attribute::number(*generation))
        }
    };
    condition.with(":since", Attribute::number(since.as_secs()))
}

/// Whether `row` covers `revocation` with a feed row stamped `since` or later. An unreadable row
/// covers nothing.
fn is_announced(row: &Item, revocation: &Revocation, since: UnixTime) -> bool {
    is_stamped(row, since)
        && match &revocation.target {
            RevocationTarget::Token(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::Key(_) => true,
            RevocationTarget::Subject { generation, .. } => {
                let found = row.optional_number(GENERATION);
                matches!(found, Ok(Some(found)) if found >= *generation)
            }
        }
}

/// Whether the last feed row of this row's revocation has a stamp of `since` or later.
fn is_stamped(row: &Item, since: UnixTime) -> bool {
    let stamp = row.optional_number(STAMP);
    matches!(stamp, Ok(Some(stamp)) if stamp >= since.as_secs())
}

/// The keys of all rows that could revoke `token`.
fn keys_of(token: TokenIds<'_>) -> Vec<Key> {
    let subject = RevocationTarget::Subject {
        issuer: token.issuer.to_owned(),
        subject: token.subject.to_owned(),
        // The key does not contain it.
        generation: 0,
    };
    let session = token.session_id.map(str::to_owned);
    [
        Some(RevocationTarget::Token(token.token_id.to_owned())),
        session.map(RevocationTarget::Session),
        Some(subject),
        Some(RevocationTarget::Key(token.key_id.to_owned())),
    ]
    .iter()
    .flatten()
    .map(Key::revocation)
    .collect()
}

const KIND: &str = "kind";
/// The stamp of the revocation's last feed row.
const STAMP: &str = "stamp";
const TARGET_ID: &str = "target_id";
const ISSUER: &str = "issuer";
const SUBJECT: &str = "subject";

/// The row of a revocation under its target's key.
fn stamped_row(revocation: &Revocation, stamp: UnixTime, request_id: &Id) -> Item {
    revocation_row(revocation, request_id).with_number(STAMP, stamp.as_secs())
}

/// The row of a revocation in the feed. DynamoDB deletes it after `ttl`.
fn revocation_row(revocation: &Revocation, request_id: &Id) -> Item {
    let row = Item::new()
        .with_text(REQUEST_ID, request_id.as_str())
        .with_number(TTL, revocation.until.as_secs());
    let named = |kind: &str, id: &str| row.clone().with_text(KIND, kind).with_text(TARGET_ID, id);
    match &revocation.target {
        RevocationTarget::Token(id) => named("token", id),
        RevocationTarget::Session(id) => named("session", id),
        RevocationTarget::Key(id) => named("key", id),
        RevocationTarget::Subject {
            issuer,
            subject,
            generation,
        } => row
            .with_text(KIND, "subject")
            .with_text(ISSUER, issuer.as_str())
            .with_text(SUBJECT, subject.as_str())
            .with_number(GENERATION, *generation),
    }
}

// SECURITY: an unreadable row is an error and never skipped: it may revoke the token.
fn read_revocation(row: &Item) -> Result<Revocation, RowError> {
    let target_id = || row.text(TARGET_ID).map(str::to_owned);
    let target = match row.text(KIND)? {
        "token" => RevocationTarget::Token(target_id()?),
        "session" => RevocationTarget::Session(target_id()?),
        "key" => RevocationTarget::Key(target_id()?),
        "subject" => RevocationTarget::Subject {
            issuer: row.text(ISSUER)?.to_owned(),
            subject: row.text(SUBJECT)?.to_owned(),
            generation: row.number(GENERATION)?,
        },
        _ => return Err(RowError::Value(KIND)),
    };
    let until = time(row, TTL)?;
    Ok(Revocation { target, until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::ItemError;

    fn request_id() -> Id {
        Id::parse("r1").unwrap()
    }

    fn every_kind() -> [Revocation; 4] {
        [
            RevocationTarget::Token("t1".to_owned()),
            RevocationTarget::Session("s1".to_owned()),
            RevocationTarget::Key("k1".to_owned()),
            RevocationTarget::Subject {
                issuer: "https://id.example".to_owned(),
                subject: "u1".to_owned(),
                generation: 7,
            },
        ]
        .map(|target| Revocation {
            target,
            until: UnixTime::from_secs(2_000),
        })
    }

    #[test]
    fn every_kind_of_revocation_survives_the_round_trip_through_its_row() {
        for revocation in every_kind() {
            let row = revocation_row(&revocation, &request_id());
            assert_eq!(row.number("ttl"), Ok(2_000));
            assert_eq!(read_revocation(&row), Ok(revocation));
        }
    }

    #[test]
    fn an_unreadable_revocation_row_is_an_error() {
        let [token, .., subject] = every_kind();
        let good = revocation_row(&token, &request_id());
        let subject = revocation_row(&subject, &request_id());
        for (row, error) in [
            (Item::new(), ItemError::Missing(KIND).into()),
            (
                good.clone().with_text(KIND, "tokens"),
                RowError::Value(KIND),
            ),
            (
                good.clone().with_text(TTL, "2000"),
                ItemError::Type(TTL).into(),
            ),
            (
                good.with_text(KIND, "subject"),
                ItemError::Missing(ISSUER).into(),
            ),
            (
                subject.with_text(GENERATION, "7"),
                ItemError::Type(GENERATION).into(),
            ),
        ] {
            assert_eq!(read_revocation(&row), Err(error));
        }
    }

    #[test]
    fn a_token_is_looked_up_under_all_its_identifiers() {
        let mut token = TokenIds {
            issuer: "https://id.example",
            subject: "u1",
            token_id: "t1",
            session_id: Some("s1"),
            generation: Some(7),
            key_id: "k1",
        };
        let written = every_kind().map(|revocation| Key::revocation(&revocation.target));
        let asked = keys_of(token);
        assert_eq!(asked.len(), 4);
        assert!(written.iter().all(|key| asked.contains(key)));
        token.session_id = None;
        assert_eq!(keys_of(token).len(), 3);
    }
}
