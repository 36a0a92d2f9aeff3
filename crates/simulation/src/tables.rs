//! The stored data. Each method is one transaction.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::limit::sliding_window::SlidingWindow;
use portcullis_core::limit::{Attempt, LimitDecision};
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{PackIndex, Revocation, RevocationTarget};
use portcullis_core::secret::Secret;
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use portcullis_service::signing::secret::Stages;
use portcullis_service::store::{Account, Bucket, Counted, SessionWithAccount, WriteOutcome};

use crate::bounds::second;

/// All rows.
#[derive(Default)]
pub(crate) struct SimTables {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) sessions: BTreeMap<Id, Session>,
    pub(crate) revoked: BTreeMap<RevocationTarget, UnixTime>,
    /// The stamp of the last feed row of each revocation.
    pub(crate) stamps: BTreeMap<RevocationTarget, UnixTime>,
    pub(crate) feed: Vec<(UnixTime, Revocation)>,
    pub(crate) document: KeyDocument,
    /// The keys whose times an emergency has changed, and when: some nodes learn that late.
    pub(crate) hurried: BTreeMap<String, u64>,
    /// Every key that was ever published.
    pub(crate) published: BTreeSet<String>,
    /// Whether a key was revoked.
    pub(crate) emergency: bool,
    pub(crate) stages: Stages,
    pub(crate) versions: BTreeMap<String, Secret<String>>,
    pub(crate) directory: PackIndex,
    pub(crate) packs: BTreeMap<String, Vec<u8>>,
    pub(crate) windows: BTreeMap<String, SlidingWindow>,
    /// The requests with an audit entry, and the change it records.
    pub(crate) audit: BTreeSet<(Id, &'static str)>,
}

impl SimTables {
    pub(crate) fn note(&mut self, event: &AuditEvent) {
        self.audit
            .insert((event.request_id.clone(), event.kind.action()));
    }

    pub(crate) fn announce(&mut self, revocations: &[Revocation], stamp: UnixTime) {
        self.feed
            .extend(revocations.iter().map(|one| (stamp, one.clone())));
    }

    pub(crate) fn revoke(&mut self, revocations: &[Revocation], stamp: UnixTime) {
        for one in revocations {
            let until = self.revoked.entry(one.target.clone()).or_default();
            *until = one.until.max(*until);
            self.stamps.insert(one.target.clone(), stamp);
        }
        self.announce(revocations, stamp);
    }

    pub(crate) fn account_of(&self, user_id: &Id) -> Option<Account> {
        let mut accounts = self.accounts.values();
        accounts
            .find(|account| account.user_id == *user_id)
            .cloned()
    }

    pub(crate) fn make(&mut self, account: Account, event: &AuditEvent) -> WriteOutcome {
        let place = account.email.as_str().to_owned();
        if self.accounts.contains_key(&place) {
            return WriteOutcome::Conflict;
        }
        self.accounts.insert(place, account);
        self.note(event);
        WriteOutcome::Applied
    }

    pub(crate) fn open_session(&mut self, session: &Session, event: &AuditEvent) -> WriteOutcome {
        let account = self.accounts.get(session.email.as_str());
        if account.is_none_or(|account| account.generation != session.generation) {
            return WriteOutcome::Conflict;
        }
        self.sessions.insert(session.id.clone(), session.clone());
        self.note(event);
        WriteOutcome::Applied
    }

    pub(crate) fn family(&self, session_id: &Id) -> Option<SessionWithAccount> {
        let session = self.sessions.get(session_id)?.clone();
        let account = self.accounts.get(session.email.as_str()).cloned();
        Some(SessionWithAccount { session, account })
    }

    /// `any` skips the condition.
    pub(crate) fn advance(
        &mut self,
        read: &Session,
        next: &RefreshHead,
        event: &AuditEvent,
        any: bool,
    ) -> WriteOutcome {
        let Some(session) = self.sessions.get_mut(&read.id) else {
            return WriteOutcome::Conflict;
        };
        if session.head.hash != read.head.hash && !any {
            return WriteOutcome::Conflict;
        }
        session.head = next.clone();
        self.note(event);
        WriteOutcome::Applied
    }

    pub(crate) fn publish(&mut self, document: &KeyDocument) -> WriteOutcome {
        if document.version() != self.document.version() + 1 {
            return WriteOutcome::Conflict;
        }
        self.document = document.clone();
        let names = document.keys().iter().filter_map(|key| key.key.id());
        self.published.extend(names.map(str::to_owned));
        WriteOutcome::Applied
    }

    pub(crate) fn change_keys(
        &mut self,
        document: &KeyDocument,
        revocation: Option<(Revocation, UnixTime)>,
        event: &AuditEvent,
        now: u64,
    ) -> WriteOutcome {
        let before = self.document.clone();
        if self.publish(document) == WriteOutcome::Conflict {
            return WriteOutcome::Conflict;
        }
        self.note(event);
        if let Some((revocation, stamp)) = revocation {
            self.revoke(&[revocation], stamp);
            self.emergency = true;
        }
        if self.emergency {
            let hurried = document.keys().iter().filter(|key| {
                match key.key.id().and_then(|id| before.find(id)) {
                    Some(held) => {
                        key.sign_from < held.sign_from
                            || (held.ends_at.is_some() && key.ends_at.is_none())
                    }
                    // It signs before other nodes can have read it.
                    None => key.sign_from <= second(now, 2_000),
                }
            });
            let names = hurried.filter_map(|key| key.key.id().map(str::to_owned));
            self.hurried.extend(names.map(|name| (name, now)));
        }
        WriteOutcome::Applied
    }

    pub(crate) fn decision(&self, bucket: &Bucket, attempt: Attempt) -> LimitDecision {
        let window = self.windows.get(&bucket.name).cloned().unwrap_or_default();
        window.check(
            bucket.quota,
            bucket.scope.max_consecutive_failures(),
            attempt,
        )
    }

    pub(crate) fn shift(&mut self, bucket: &Bucket, attempt: Attempt) {
        let window = self.windows.entry(bucket.name.clone()).or_default();
        *window = window.clone().shift(bucket.quota, attempt);
    }

    pub(crate) fn count(&mut self, bucket: &Bucket, attempt: Attempt) -> Counted {
        let decision = self.decision(bucket, attempt);
        if decision == LimitDecision::Allow {
            self.shift(bucket, attempt);
        }
        counted(decision)
    }
}

pub(crate) const fn counted(decision: LimitDecision) -> Counted {
    Counted {
        decision,
        is_first_refusal: false,
        is_half_used: false,
    }
}
