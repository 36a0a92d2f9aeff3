//! Second factors: one row for each next to the account, and one for the recovery codes.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Account, FactorStore, Factors, OutboxMail, StoreError, TotpFactor, WriteOutcome,
};

use super::audit::audit_row;
use super::columns::{CREATED_AT, REQUEST_ID, USER_ID};
use super::outbox::enqueue;
use super::{DynamoStore, RowError, id, is_own_write, is_written_for, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, SORT_KEY, Table};
use crate::dynamodb::write::{Expression, update_if};
use crate::error::CallError;
use crate::error_code::ErrorClass;
use crate::transport::Transport;

const FACTOR_ID: &str = "factor_id";
const SECRET: &str = "secret";
const CONFIRMED_AT: &str = "confirmed_at";
const LAST_STEP: &str = "last_step";
const CODES: &str = "codes";

/// Marks a row that was written while the address of the account was unverified. Such a row does
/// not count once the address is verified, so no request that was under way at the first proof of
/// the address can leave a factor behind.
const UNPROVEN: &str = "unproven";

impl<T: Transport> FactorStore for DynamoStore<'_, T> {
    async fn factors(&self, account: &Account) -> Result<Factors, StoreError> {
        const OPERATION: &str = "reading second factors";
        let range = Range {
            table: Table::Main,
            partition: Key::totp(&account.email).partition().to_owned(),
            from: "FACTOR#".to_owned(),
            to: "FACTOR#~".to_owned(),
        };
        let rows = self.client.range(&range, self.now).await;
        let rows = rows.map_err(|error| StoreError::new(OPERATION, error))?;
        read_factors(&rows, account).map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn begin_factor(
        &self,
        account: &Account,
        factor: &TotpFactor,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "enrolling a second factor";
        let replaceable = if account.verified_at.is_some() {
            Expression::of(
                "attribute_not_exists(#confirmed_at) OR #user_id <> :user_id \
                 OR attribute_exists(#unproven)",
            )
        } else {
            Expression::of("attribute_not_exists(#confirmed_at) OR #user_id <> :user_id")
        };
        let inactive = replaceable.with(":user_id", Attribute::text(account.user_id.as_str()));
        let row = totp_row(account, factor, &event.request_id);
        let mut transaction = self.transaction();
        transaction.put_if(&Key::totp(&account.email), row, &inactive);
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit(OPERATION, transaction)
            .await?
            .write_outcome(OPERATION, |row| is_written_for(row, &event.request_id))
    }

    async fn confirm_factor(
        &self,
        account: &Account,
        factor: &TotpFactor,
        step: u64,
        recovery: &[String],
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "confirming a second factor";
        let change = Expression::set([
            (CONFIRMED_AT, Attribute::number(event.at.as_secs())),
            (LAST_STEP, Attribute::number(step)),
            (REQUEST_ID, Attribute::text(event.request_id.as_str())),
        ]);
        let begun = Expression::of(
            "#user_id = :user_id AND #factor_id = :factor_id AND attribute_not_exists(#confirmed_at)",
        )
        .with(":user_id", Attribute::text(account.user_id.as_str()))
        .with(":factor_id", Attribute::text(factor.id.as_str()));
        let mut transaction = self.transaction();
        transaction.update_if(&Key::totp(&account.email), &change, &begun);
        transaction.put(
            &Key::recovery_codes(&account.email),
            recovery_row(account, recovery, event),
        );
        enqueue(&mut transaction, mail, &event.request_id);
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit(OPERATION, transaction)
            .await?
            .write_outcome(OPERATION, |row| {
                is_written_for(row, &event.request_id)
                    && row.text(FACTOR_ID) == Ok(factor.id.as_str())
                    && row.number(LAST_STEP) == Ok(step)
            })
    }

    async fn spend_step(
        &self,
        account: &Account,
        factor: &TotpFactor,
        step: u64,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let change = Expression::set([
            (LAST_STEP, Attribute::number(step)),
            (REQUEST_ID, Attribute::text(request_id.as_str())),
        ]);
        let fresh = Expression::of(
            "#factor_id = :factor_id AND #last_step < :step AND attribute_exists(#confirmed_at)",
        )
        .with(":factor_id", Attribute::text(factor.id.as_str()))
        .with(":step", Attribute::number(step));
        self.spend(&Key::totp(&account.email), &change, &fresh, |row| {
            is_written_for(row, request_id) && row.number(LAST_STEP) == Ok(step)
        })
        .await
    }

    async fn spend_recovery_code(
        &self,
        account: &Account,
        all: &[String],
        rest: &[String],
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let (all, rest) = (all.join(","), rest.join(","));
        let change = Expression::set([
            (CODES, Attribute::text(rest.as_str())),
            (REQUEST_ID, Attribute::text(request_id.as_str())),
        ]);
        let unchanged = Expression::of("#user_id = :user_id AND #codes = :all")
            .with(":user_id", Attribute::text(account.user_id.as_str()))
            .with(":all", Attribute::text(all));
        let key = Key::recovery_codes(&account.email);
        self.spend(&key, &change, &unchanged, |row| {
            is_written_for(row, request_id) && row.text(CODES) == Ok(&rest)
        })
        .await
    }

    async fn renew_recovery_codes(
        &self,
        account: &Account,
        recovery: &[String],
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "renewing recovery codes";
        let mut transaction = self.transaction();
        transaction.put(
            &Key::recovery_codes(&account.email),
            recovery_row(account, recovery, event),
        );
        enqueue(&mut transaction, mail, &event.request_id);
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit_all(OPERATION, transaction).await
    }

    async fn remove_factors(
        &self,
        account: &Account,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "deleting second factors";
        let mut transaction = self.transaction();
        transaction.delete(&Key::totp(&account.email));
        transaction.delete(&Key::recovery_codes(&account.email));
        if let Some(mail) = mail {
            enqueue(&mut transaction, mail, &event.request_id);
        }
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit_all(OPERATION, transaction).await
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// One conditional write of a value that can be used only once.
    async fn spend(
        &self,
        key: &Key,
        change: &Expression,
        condition: &Expression,
        is_own: impl FnOnce(&Item) -> bool,
    ) -> Result<WriteOutcome, StoreError> {
        let call = update_if(self.client.tables(), key, change, condition);
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(WriteOutcome::Applied),
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                match refusal.reasons().first() {
                    // The response to an earlier attempt was lost.
                    Some(reason) if is_own_write(reason, is_own) => Ok(WriteOutcome::Applied),
                    _ => Ok(WriteOutcome::Conflict),
                }
            }
            Err(error) => Err(StoreError::new("using a recovery code", error)),
        }
    }

    /// A transaction without conditions.
    async fn commit_all(
        &self,
        operation: &'static str,
        transaction: crate::dynamodb::write::Transaction<'_>,
    ) -> Result<(), StoreError> {
        match self.commit(operation, transaction).await? {
            super::Committed::Done => Ok(()),
            super::Committed::Refused(refusal) => Err(StoreError::new(operation, refusal)),
        }
    }
}

fn totp_row(account: &Account, factor: &TotpFactor, request_id: &Id) -> Item {
    new_row(account)
        .with_text(USER_ID, account.user_id.as_str())
        .with_text(FACTOR_ID, factor.id.as_str())
        .with_text(SECRET, factor.sealed.as_str())
        .with_number(CREATED_AT, factor.created_at.as_secs())
        .with_number(LAST_STEP, factor.last_step)
        .with_text(REQUEST_ID, request_id.as_str())
}

/// A row with the mark of an unverified account.
fn new_row(account: &Account) -> Item {
    match account.verified_at {
        Some(_) => Item::new(),
        None => Item::new().with_number(UNPROVEN, 1),
    }
}

fn recovery_row(account: &Account, recovery: &[String], event: &AuditEvent) -> Item {
    new_row(account)
        .with_text(USER_ID, account.user_id.as_str())
        .with_text(CODES, recovery.join(","))
        .with_number(CREATED_AT, event.at.as_secs())
        .with_text(REQUEST_ID, event.request_id.as_str())
}

fn read_factors(rows: &[Item], account: &Account) -> Result<Factors, RowError> {
    let mut factors = Factors::default();
    for row in rows {
        // The factor may be left from an erased account, and the address may belong to another user
        // now.
        if row.text(USER_ID)? != account.user_id.as_str() {
            continue;
        }
        if account.verified_at.is_some() && row.optional_number(UNPROVEN)?.is_some() {
            continue;
        }
        match row.text(SORT_KEY)? {
            "FACTOR#TOTP" => factors.totp = Some(read_totp(row)?),
            "FACTOR#RECOVERY" => {
                let codes = row.text(CODES)?.split(',').filter(|code| !code.is_empty());
                factors.recovery = codes.map(str::to_owned).collect();
            }
            // A kind of factor that only a later version supports.
            _ => {}
        }
    }
    Ok(factors)
}

fn read_totp(row: &Item) -> Result<TotpFactor, RowError> {
    Ok(TotpFactor {
        id: id(row, FACTOR_ID)?,
        sealed: row.text(SECRET)?.to_owned(),
        created_at: time(row, CREATED_AT)?,
        confirmed_at: row.optional_number(CONFIRMED_AT)?.map(UnixTime::from_secs),
        last_step: row.number(LAST_STEP)?,
    })
}
