//! A change of an account: one update conditional on the version that was read. The same
//! transaction ends its sessions if the change says so.

use portcullis_core::audit::AuditEvent;
use portcullis_service::store::{Account, AccountChange, KeptSession, StoreError, WriteOutcome};

use super::account_row::{
    CLAIMS, ROLES, SCOPES, SHORT_PASSWORD, TOKEN_GENERATION, claims_attributes, status_word,
};
use super::audit::audit_row;
use super::columns::{GENERATION, PASSWORD, REQUEST_ID, STATUS, VERIFIED_AT, VERSION};
use super::outbox::enqueue;
use super::revocations::revoke;
use super::session_row::{SUCCESSOR, head_attributes};
use super::{Committed, DynamoStore, is_own_write, is_written_for, tokens};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::Key;
use crate::dynamodb::write::{Expression, Transaction};
use crate::error::Reason;
use crate::transport::Transport;

const OPERATION: &str = "changing an account";

pub(super) async fn change_account<T: Transport>(
    store: &DynamoStore<'_, T>,
    account: &Account,
    change: &AccountChange<'_>,
    event: &AuditEvent,
) -> Result<WriteOutcome, StoreError> {
    let changed = changed(account, change);
    let ended = change.ended_tokens();
    let mut calls_back = ended.is_some();
    loop {
        let mut transaction = store.transaction();
        update(&mut transaction, account, change, &changed, event);
        if let Some(kept) = change.sessions.as_ref().and_then(|end| end.kept.as_ref()) {
            keep(&mut transaction, account, kept, event);
        }
        if let Some(end) = &ended {
            store.announce_by(
                &mut transaction,
                core::slice::from_ref(end.revocation),
                end.stamp,
                &event.request_id,
            );
        }
        if let Some(mail) = change.mail {
            enqueue(&mut transaction, mail, &event.request_id);
        }
        transaction.put(&Key::audit(event), audit_row(event));
        // Last, so that its reason is the last one.
        if let Some(end) = ended.as_ref().filter(|_| calls_back) {
            revoke(
                &mut transaction,
                end.revocation,
                end.stamp,
                &event.request_id,
            );
        }
        let refusal = match store.commit(OPERATION, transaction).await? {
            Committed::Done => return Ok(WriteOutcome::Applied),
            Committed::Refused(refusal) => refusal,
        };
        let is_own = |row: &Item| is_written_for(row, &event.request_id) && holds(row, &changed);
        match refusal.reasons() {
            [row, ..] if is_own_write(row, is_own) => return Ok(WriteOutcome::Applied),
            [row, ..] if row.is_condition() => return Ok(WriteOutcome::Conflict),
            // The retained session has changed.
            [_, kept, ..] if kept.is_condition() && keeps_one(change) => {
                return Ok(WriteOutcome::Conflict);
            }
            // A subject revocation with a higher generation stays unchanged.
            [.., revoked] if calls_back && Reason::is_condition(revoked) => calls_back = false,
            _ => return Err(StoreError::new(OPERATION, refusal)),
        }
    }
}

/// The new values of the attributes.
fn changed(account: &Account, change: &AccountChange<'_>) -> Vec<(&'static str, Attribute)> {
    let mut changed = vec![(
        VERSION,
        Attribute::number(account.version.saturating_add(1)),
    )];
    if let Some(hash) = change.password {
        changed.push((PASSWORD, Attribute::text(hash.as_phc())));
    }
    if change.short_password == Some(true) {
        changed.push((SHORT_PASSWORD, Attribute::flag(true)));
    }
    changed.extend(tokens::used_by(change));
    if let Some(status) = change.status {
        changed.push((STATUS, Attribute::text(status_word(status))));
    }
    if let Some(moment) = change.verified_at {
        changed.push((VERIFIED_AT, Attribute::number(moment.as_secs())));
    }
    if change.sessions.is_some() {
        changed.push((GENERATION, Attribute::number(account.next_generation())));
    }
    if change.ended_tokens().is_some() {
        let next = Attribute::number(account.next_token_generation());
        changed.push((TOKEN_GENERATION, next));
    }
    if let Some(claims) = change.claims {
        changed.extend(claims_attributes(claims));
    }
    changed
}

fn update(
    transaction: &mut Transaction<'_>,
    account: &Account,
    change: &AccountChange<'_>,
    changed: &[(&'static str, Attribute)],
    event: &AuditEvent,
) {
    let request_id = (REQUEST_ID, Attribute::text(event.request_id.as_str()));
    let update = Expression::set(changed.iter().cloned().chain([request_id]));
    let update = tokens::gone_with(change)
        .into_iter()
        .chain((change.short_password == Some(false)).then_some(SHORT_PASSWORD))
        .chain(claims_gone_with(change))
        .fold(update, Expression::removing);
    let unchanged = match &change.spends {
        None => Expression::of("#version = :read"),
        Some(token) => tokens::unspent(token),
    };
    let unchanged = unchanged.with(":read", Attribute::number(account.version));
    transaction.update_if(&Key::user(&account.email), &update, &unchanged);
}

/// The attributes of claims that become empty.
fn claims_gone_with(change: &AccountChange<'_>) -> Vec<&'static str> {
    let Some(claims) = change.claims else {
        return Vec::new();
    };
    let set = claims_attributes(claims);
    let mut gone = vec![SCOPES, ROLES, CLAIMS];
    gone.retain(|name| set.iter().all(|(own, _)| own != name));
    gone
}

/// Moves the retained session to the new generation, with its new refresh token.
fn keep(
    transaction: &mut Transaction<'_>,
    account: &Account,
    kept: &KeptSession<'_>,
    event: &AuditEvent,
) {
    let moved = [
        (GENERATION, Attribute::number(account.next_generation())),
        (REQUEST_ID, Attribute::text(event.request_id.as_str())),
    ];
    let next = Expression::set(moved.into_iter().chain(head_attributes(kept.next)));
    let next = match &kept.next.sealed {
        Some(_) => next,
        None => next.removing(SUCCESSOR),
    };
    let alive = Expression::of(
        "#user_id = :user_id AND #generation = :read \
         AND #refresh_generation = :current_generation AND #refresh_hash = :current_hash",
    )
    .with(":user_id", Attribute::text(account.user_id.as_str()))
    .with(":read", Attribute::number(account.generation))
    .with(
        ":current_generation",
        Attribute::number(kept.read.generation),
    )
    .with(":current_hash", Attribute::bytes(&kept.read.hash));
    let key = Key::session(&account.email, kept.session.opened_at, &kept.session.id);
    transaction.update_if(&key, &next, &alive);
}

fn keeps_one(change: &AccountChange<'_>) -> bool {
    change.sessions.is_some_and(|end| end.kept.is_some())
}

/// Whether each attribute of `row` has its value in `changed`.
fn holds(row: &Item, changed: &[(&'static str, Attribute)]) -> bool {
    changed
        .iter()
        .all(|(name, value)| row.attribute(name).as_ref() == Some(value))
}
