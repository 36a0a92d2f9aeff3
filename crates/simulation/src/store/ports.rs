//! The ports of `portcullis-service` on these tables.

use std::rc::Rc;

use futures_util::future::try_join_all;
use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::limit::{Attempt, LimitDecision};
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{Revocation, RevocationTarget, Revocations, TokenIds};
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use portcullis_service::ports::Signer as _;
use portcullis_service::store::{
    Account, AccountChange, AccountStore, Announced, AuditStore, Bucket, Counted, ImportWrite,
    KeyStore, LimitStore, OutboxMail, RetainedSession, RevocationStore, SessionStore,
    SessionWithAccount, StoreError, WriteOutcome,
};

use super::{READING_KEYS, View, tell_rows};
use crate::crypto::SimKey;
use crate::mutation::Mutation;
use crate::oracle::{Invariant, brief};
use crate::tables::counted;

impl AccountStore for View {
    async fn account(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        let email = email.as_str().to_owned();
        self.call("reading an account", move |tables, _| {
            tables.accounts.get(&email).cloned()
        })
        .await
    }

    async fn account_of(&self, user_id: &Id) -> Result<Option<Account>, StoreError> {
        let user_id = user_id.clone();
        self.call("finding an account", move |tables, _| {
            tables.account_of(&user_id)
        })
        .await
    }

    async fn register(
        &self,
        account: &Account,
        _mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (account, event) = (account.clone(), event.clone());
        self.call("registering", move |tables, _| tables.make(account, &event))
            .await
    }

    async fn import(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<ImportWrite, StoreError> {
        let (account, event) = (account.clone(), event.clone());
        self.call("importing", move |tables, _| {
            if let Some(existing) = tables.accounts.get(account.email.as_str()) {
                return ImportWrite::AddressTaken(existing.user_id.clone());
            }
            if tables.account_of(&account.user_id).is_some() {
                return ImportWrite::UserIdTaken;
            }
            match tables.make(account, &event) {
                WriteOutcome::Applied => ImportWrite::Applied,
                WriteOutcome::Conflict => ImportWrite::UserIdTaken,
            }
        })
        .await
    }

    async fn register_decoy(
        &self,
        _account: &Account,
        _mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        self.record(event).await
    }

    async fn change_account(
        &self,
        account: &Account,
        change: &AccountChange<'_>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (read, event) = (account.clone(), event.clone());
        let (password, status) = (change.password.cloned(), change.status);
        let ended = change
            .ended_tokens()
            .map(|end| (end.revocation.clone(), end.stamp));
        let (ends_sessions, claims) = (change.sessions.is_some(), change.claims.cloned());
        let (lost, world) = (self.loses_write(), Rc::clone(&self.world));
        self.call("changing an account", move |tables, _| {
            let Some(account) = tables.accounts.get_mut(read.email.as_str()) else {
                return WriteOutcome::Conflict;
            };
            if account.version != read.version {
                return WriteOutcome::Conflict;
            }
            if lost {
                return WriteOutcome::Applied;
            }
            account.version += 1;
            account.status = status.unwrap_or(account.status);
            if let Some(password) = password {
                account.password = password;
            }
            if let Some(claims) = claims {
                account.claims = claims;
            }
            if let Some((revocation, stamp)) = ended {
                account.generation += u64::from(ends_sessions);
                account.token_generation += 1;
                tell_rows(&world, std::slice::from_ref(&revocation), stamp);
                tables.revoke(&[revocation], stamp);
            }
            tables.note(&event);
            WriteOutcome::Applied
        })
        .await
    }

    async fn erase(
        &self,
        account: &Account,
        _mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (read, event) = (account.clone(), event.clone());
        self.call("erasing an account", move |tables, _| {
            if tables.accounts.remove(read.email.as_str()).is_none() {
                return WriteOutcome::Conflict;
            }
            tables.note(&event);
            WriteOutcome::Applied
        })
        .await
    }
}

impl SessionStore for View {
    async fn open_session(
        &self,
        session: &Session,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (session, event, lost) = (session.clone(), event.clone(), self.loses_write());
        self.call("opening a session", move |tables, _| {
            if lost {
                return WriteOutcome::Applied;
            }
            tables.open_session(&session, &event)
        })
        .await
    }

    async fn family(&self, session_id: &Id) -> Result<Option<SessionWithAccount>, StoreError> {
        let session_id = session_id.clone();
        self.call("reading a session", move |tables, _| {
            tables.family(&session_id)
        })
        .await
    }

    async fn session_of(
        &self,
        account: &Account,
        retained: &RetainedSession,
    ) -> Result<Option<Session>, StoreError> {
        let (user_id, session_id) = (account.user_id.clone(), retained.id.clone());
        self.call("reading a session of an account", move |tables, _| {
            let session = tables.sessions.get(&session_id);
            session
                .filter(|session| session.user_id == user_id)
                .cloned()
        })
        .await
    }

    async fn advance(
        &self,
        session: &Session,
        next: &RefreshHead,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (session, next, event) = (session.clone(), next.clone(), event.clone());
        let any = self.world.mutation == Some(Mutation::ForkAdvance);
        let world = Rc::clone(&self.world);
        self.call("advancing a session", move |tables, _| {
            let written = tables.advance(&session, &next, &event, any);
            if written == WriteOutcome::Conflict && tables.sessions.contains_key(&session.id) {
                world.oracle.borrow_mut().count(Invariant::OneHead);
            }
            world.tell(|| {
                let (id, generation) = (brief(session.id.as_str()), next.generation);
                format!("store: session {id} to generation {generation}: {written:?}")
            });
            written
        })
        .await
    }

    async fn sessions(&self, email: &EmailAddress) -> Result<Vec<Session>, StoreError> {
        let email = email.clone();
        self.call("listing sessions", move |tables, _| {
            let all = tables.sessions.values();
            all.filter(|session| session.email == email)
                .cloned()
                .collect()
        })
        .await
    }

    async fn end_session(
        &self,
        session_id: &Id,
        revocations: &[Revocation],
        stamp: UnixTime,
        _mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let (session_id, event) = (session_id.clone(), event.clone());
        let (revocations, lost) = (revocations.to_vec(), self.loses_write());
        let world = Rc::clone(&self.world);
        let forgives = world.mutation == Some(Mutation::ForgiveReuse)
            && event.kind == AuditKind::RefreshReused;
        self.call("ending a session", move |tables, _| {
            if !lost && !forgives {
                tell_rows(&world, &revocations, stamp);
                tables.sessions.remove(&session_id);
                tables.revoke(&revocations, stamp);
                tables.note(&event);
            }
        })
        .await
    }
}

impl RevocationStore for View {
    async fn revocations_of(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError> {
        let mut places = vec![
            RevocationTarget::Token(token.token_id.to_owned()),
            RevocationTarget::Key(token.key_id.to_owned()),
        ];
        places.extend(
            token
                .session_id
                .map(|id| RevocationTarget::Session(id.to_owned())),
        );
        let (issuer, subject) = (token.issuer.to_owned(), token.subject.to_owned());
        self.call("reading revocations", move |tables, _| {
            let stands = tables.revoked.iter().filter(|(target, _)| match target {
                RevocationTarget::Subject {
                    issuer: limit_key,
                    subject: who,
                    ..
                } => *limit_key == issuer && *who == subject,
                other => places.contains(other),
            });
            stands
                .map(|(target, until)| Revocation {
                    target: target.clone(),
                    until: *until,
                })
                .collect()
        })
        .await
    }

    // Each minute is a query of its own, and all run concurrently.
    async fn feed(&self, from: UnixTime, to: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        let from = if self.world.mutation == Some(Mutation::DropOverlap) {
            from.plus(portcullis_core::revocation::WRITE_BOUND)
                .plus(portcullis_core::revocation::CLOCK_SKEW)
        } else {
            from
        };
        let mut minutes = vec![];
        let mut minute = from.start_of_minute();
        while minute <= to {
            let end = minute.plus(std::time::Duration::from_secs(59));
            let (first, last) = (minute.max(from), end.min(to));
            minutes.push(self.call("reading the feed", move |tables, _| {
                let rows = tables.feed.iter();
                let within = rows.filter(|(stamp, _)| (first..=last).contains(stamp));
                within.map(|(_, row)| row.clone()).collect::<Vec<_>>()
            }));
            minute = end.plus(std::time::Duration::from_secs(1));
        }
        Ok(try_join_all(minutes).await?.concat())
    }

    async fn announce(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        _request_id: &Id,
    ) -> Result<(), StoreError> {
        let (revocations, world) = (revocations.to_vec(), Rc::clone(&self.world));
        self.call("announcing", move |tables, _| {
            tell_rows(&world, &revocations, stamp);
            tables.announce(&revocations, stamp);
        })
        .await
    }

    async fn announce_again(
        &self,
        revocation: &Revocation,
        since: UnixTime,
        stamp: UnixTime,
        _request_id: &Id,
    ) -> Result<Announced, StoreError> {
        let (revocation, world) = (revocation.clone(), Rc::clone(&self.world));
        let since = match self.world.mutation {
            Some(Mutation::TrustOldStamp) => UnixTime::default(),
            _ => since,
        };
        self.call("announcing again", move |tables, _| {
            let last = tables.stamps.get(&revocation.target);
            if last.is_some_and(|last| *last >= since) {
                return Announced::Before;
            }
            let some = core::slice::from_ref(&revocation);
            tell_rows(&world, some, stamp);
            tables.revoke(some, stamp);
            Announced::Written
        })
        .await
    }

    async fn put_revocation(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let (revocations, event) = (revocations.to_vec(), event.clone());
        let world = Rc::clone(&self.world);
        self.call("revoking", move |tables, _| {
            tell_rows(&world, &revocations, stamp);
            tables.revoke(&revocations, stamp);
            tables.note(&event);
        })
        .await
    }
}

impl KeyStore for View {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        let read = self.call(READING_KEYS, |tables, _| tables.document.clone());
        let document = read.await?;
        let is = |kind| self.node.starts_with(kind);
        Ok(match self.world.mutation {
            Some(Mutation::SignNewest) if is("host") => signing_at_once(&document),
            Some(Mutation::TrustUnpublished) if is("edge") => {
                document.with(SimKey::new("k0").key().clone(), UnixTime::default())
            }
            _ => document,
        })
    }
}

/// The document, for a reader that ignores when a key signs.
fn signing_at_once(document: &KeyDocument) -> KeyDocument {
    const TIME: &str = r#""sign_from":"#;
    let json = document.to_json();
    let mut parts = json.split(TIME);
    let mut early = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        early.push_str(TIME);
        early.push('0');
        early.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    KeyDocument::parse(early.as_bytes()).expect("our own form")
}

impl AuditStore for View {
    async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let event = event.clone();
        self.call("recording", move |tables, _| tables.note(&event))
            .await
    }
}

impl LimitStore for View {
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError> {
        let owned = bucket.clone();
        if self.world.mutation == Some(Mutation::CountLater) {
            let decision = self
                .call("checking an attempt", move |tables, _| {
                    tables.decision(&owned, attempt)
                })
                .await?;
            if decision == LimitDecision::Allow {
                let owned = bucket.clone();
                self.call("counting an attempt", move |tables, _| {
                    tables.shift(&owned, attempt);
                })
                .await?;
            }
            return Ok(counted(decision));
        }
        self.call("counting an attempt", move |tables, _| {
            tables.count(&owned, attempt)
        })
        .await
    }

    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.call("refunding an attempt", move |tables, _| {
            let window = tables.windows.entry(bucket.name).or_default();
            *window = window.clone().refund(attempt);
        })
        .await
    }
}
