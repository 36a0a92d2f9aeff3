//! The audit trail: one row a line, in day partitions, kept for a year and a month.

use core::time::Duration;

use portcullis_core::audit::AuditEvent;
use portcullis_service::store::{AuditStore, StoreError};

use super::accounts::USER_ID;
use super::{DynamoStore, REQUEST_ID};
use crate::code::Class;
use crate::dynamodb::item::Item;
use crate::dynamodb::table::{Key, TTL};
use crate::dynamodb::write::{NEW, put_if};
use crate::error::CallError;
use crate::transport::Transport;

/// How long a line is kept.
const AUDIT_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl<T: Transport> AuditStore for DynamoStore<'_, T> {
    async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let call = put_if(
            self.client.tables(),
            &Key::audit(event),
            audit_row(event),
            &NEW,
        );
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(()),
            // The line has a name of its own, so what stands there is this line.
            Err(CallError::Service(refusal)) if refusal.class() == Class::Condition => Ok(()),
            Err(error) => Err(StoreError::new("recording an audit event", error)),
        }
    }
}

pub(super) const SESSION_ID: &str = "session_id";

/// The row of `event`; names that it does not have are left out.
pub(super) fn audit_row(event: &AuditEvent) -> Item {
    let mut row = Item::new()
        .with_text("action", event.kind.action())
        .with_text("outcome", event.kind.outcome())
        .with_text("client_address", event.client_address.as_str())
        .with_text(REQUEST_ID, event.request_id.as_str())
        .with_number(TTL, event.at.after(AUDIT_LIFETIME).as_secs());
    if let Some(user_id) = &event.user_id {
        row = row.with_text(USER_ID, user_id.as_str());
    }
    if let Some(session_id) = &event.session_id {
        row = row.with_text(SESSION_ID, session_id.as_str());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::audit::{AuditKind, LoginDenial};
    use portcullis_core::id::Id;
    use portcullis_core::time::UnixTime;

    #[test]
    fn a_line_says_what_who_where_from_and_when_it_may_go() {
        let event = AuditEvent {
            id: Id::parse("line1").unwrap(),
            at: UnixTime::from_secs(1_000),
            kind: AuditKind::LoginRefused(LoginDenial::WrongPassword),
            user_id: Some(Id::parse("u1").unwrap()),
            session_id: None,
            client_address: "192.0.2.1".to_owned(),
            request_id: Id::parse("r1").unwrap(),
        };
        let expected = Item::new()
            .with_text("action", "login")
            .with_text("outcome", "wrong_password")
            .with_text("client_address", "192.0.2.1")
            .with_text("request_id", "r1")
            .with_text("user_id", "u1")
            .with_number("ttl", 1_000 + 400 * 86_400);
        assert!(audit_row(&event) == expected);
    }
}
