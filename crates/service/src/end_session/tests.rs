//! Acknowledgement under a slow feed. The store here is a port whose writes take as long as the
//! test says. The flow tests cover the real store with real faults.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;

use super::*;

use crate::announce::MAX_ATTEMPTS;
use crate::ports::{NoEntropy, RequestMeta};
use crate::store::{
    Account, Announced, OutboxMail, RetainedSession, SessionWithAccount, StoreError, WriteOutcome,
};
use crate::test_support::settings;
use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{Revocation, Revocations, TokenIds};
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::secret::Secret;
use portcullis_core::session::Session;

const NOON: u64 = 1_000;

/// A clock that stands still except during writes; each write takes the next of these spans.
struct Slow {
    now: Cell<u64>,
    spans: RefCell<Vec<u64>>,
    stamps: RefCell<Vec<u64>>,
}

impl Slow {
    fn taking(spans: &[u64]) -> Self {
        let spans = RefCell::new(spans.iter().rev().copied().collect());
        Self {
            now: Cell::new(NOON),
            spans,
            stamps: RefCell::default(),
        }
    }
    fn write(&self, stamp: UnixTime) {
        self.stamps.borrow_mut().push(stamp.as_secs());
        let span = self.spans.borrow_mut().pop().unwrap_or(0);
        self.now.set(self.now.get().saturating_add(span));
    }
}

impl Clock for Slow {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now.get())
    }
}

impl SessionStore for Slow {
    async fn open_session(&self, _: &Session, _: &AuditEvent) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Applied)
    }
    async fn family(&self, _: &Id) -> Result<Option<SessionWithAccount>, StoreError> {
        Ok(None)
    }
    async fn session_of(
        &self,
        _: &Account,
        _: &RetainedSession,
    ) -> Result<Option<Session>, StoreError> {
        Ok(None)
    }
    async fn advance(
        &self,
        _: &Session,
        _: &RefreshHead,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Conflict)
    }
    async fn sessions(&self, _: &EmailAddress) -> Result<Vec<Session>, StoreError> {
        Ok(Vec::new())
    }
    async fn end_session(
        &self,
        _: &Id,
        _: &[Revocation],
        stamp: UnixTime,
        _: Option<&OutboxMail>,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(stamp);
        Ok(())
    }
}

impl RevocationStore for Slow {
    async fn revocations_of(&self, _: TokenIds<'_>) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
    async fn feed(&self, _: UnixTime, _: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        Ok(Vec::new())
    }
    async fn put_revocation(
        &self,
        _: &[Revocation],
        stamp: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(stamp);
        Ok(())
    }
    async fn announce_again(
        &self,
        _: &Revocation,
        _: UnixTime,
        stamp: UnixTime,
        _: &Id,
    ) -> Result<Announced, StoreError> {
        self.write(stamp);
        Ok(Announced::Written)
    }
    async fn announce(&self, _: &[Revocation], stamp: UnixTime, _: &Id) -> Result<(), StoreError> {
        self.write(stamp);
        Ok(())
    }
}

struct Ids;
impl SecureRandom for Ids {
    fn id(&self) -> Result<Id, NoEntropy> {
        Ok(Id::from_random([7; 16]))
    }
    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Err(NoEntropy)
    }
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        Err(NoEntropy)
    }
}

/// These tests never wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test store never waits"),
    }
}

fn ends(store: &Slow) -> Result<(), UseCaseError> {
    let call = RequestMeta {
        now: UnixTime::from_secs(NOON),
        request_id: Id::from_random([1; 16]),
        client_address: String::new(),
    };
    let user_id = Id::from_random([2; 16]);
    let session_id = Id::from_random([3; 16]);
    let ending = Ending {
        user_id: &user_id,
        session_id: &session_id,
        token: Some(announce::token("t1", UnixTime::from_secs(1_500))),
        kind: AuditKind::LoggedOut,
        notice: None,
    };
    let root_keys = RootKeys::document(&Secret::new([4; 32]));
    let settings = settings();
    let ctx = ServiceContext {
        store,
        random: &Ids,
        root_keys: &RootKeys::parse(root_keys.expose().as_bytes()).expect("a document"),
        settings: &settings,
        call: &call,
    };
    ready(end(&ending, store, ctx))
}

#[test]
fn a_revocation_written_within_the_bound_is_acknowledged_at_once() {
    let store = Slow::taking(&[2]);
    assert!(ends(&store).is_ok());
    assert_eq!(*store.stamps.borrow(), [1_000]);
}

#[test]
fn a_late_revocation_is_announced_again_before_it_is_acknowledged() {
    let store = Slow::taking(&[3, 9, 1]);
    assert!(ends(&store).is_ok());
    assert_eq!(*store.stamps.borrow(), [1_000, 1_003, 1_012]);
}

#[test]
fn a_revocation_is_never_acknowledged_while_the_feed_stays_late() {
    let store = Slow::taking(&[3; 16]);
    assert!(matches!(ends(&store), Err(UseCaseError::NotConfirmed)));
    assert_eq!(store.stamps.borrow().len(), 1 + MAX_ATTEMPTS);
}
