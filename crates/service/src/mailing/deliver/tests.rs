//! The mailer here does what the test says; the outbox is a list.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::time::UnixTime;

use super::*;
use crate::ports::{Mail, NoEntropy, RequestMeta};
use crate::store::{AccountChange, ImportWrite, OutboxMail, StoreError};
use crate::test_support::settings;

const NOON: UnixTime = UnixTime::from_secs(1_000);

/// An outbox for one account.
#[derive(Default)]
struct Outbox(RefCell<Vec<OutboxEntry>>);

impl Outbox {
    fn with(attempts: &[u64]) -> Self {
        let waiting = attempts
            .iter()
            .zip(1..)
            .map(|(attempts, number)| OutboxEntry {
                mail: OutboxMail {
                    id: Id::from_random([number; 16]),
                    kind: MailKind::AlreadyRegistered,
                    email: email(),
                    user_id: None,
                    asked_at: NOON,
                },
                attempts: *attempts,
                due_at: NOON,
            });
        Self(RefCell::new(waiting.collect()))
    }

    /// The attempts of each waiting mail, and the time when it is due.
    fn state(&self) -> Vec<(u64, u64)> {
        let waiting = self.0.borrow();
        let state = |it: &OutboxEntry| (it.attempts, it.due_at.as_secs());
        waiting.iter().map(state).collect()
    }

    fn place(&self, waiting: &OutboxEntry) -> Option<usize> {
        self.0.borrow().iter().position(|it| it == waiting)
    }
}

impl OutboxStore for Outbox {
    async fn enqueue(&self, _: &OutboxMail, _: &AuditEvent) -> Result<(), StoreError> {
        Ok(())
    }
    async fn due_mail(&self, now: UnixTime) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut due = self.0.borrow().clone();
        due.retain(|waiting| waiting.due_at <= now);
        Ok(due)
    }
    async fn reserve(
        &self,
        read: &OutboxEntry,
        next: &OutboxEntry,
        _: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let Some(place) = self.place(read) else {
            return Ok(WriteOutcome::Conflict);
        };
        self.0.borrow_mut()[place] = next.clone();
        Ok(WriteOutcome::Applied)
    }
    async fn remove(&self, claimed: &OutboxEntry) -> Result<(), StoreError> {
        if let Some(place) = self.place(claimed) {
            self.0.borrow_mut().remove(place);
        }
        Ok(())
    }
    async fn give_up(&self, claimed: &OutboxEntry, _: &AuditEvent) -> Result<(), StoreError> {
        self.remove(claimed).await
    }
}

impl AccountStore for Outbox {
    async fn account(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        Ok(Some(Account {
            user_id: Id::from_random([9; 16]),
            email: email.clone(),
            password: PasswordHash::parse("$x").expect("a hash"),
            short_password: false,
            status: AccountStatus::Active,
            created_at: NOON,
            verified_at: Some(NOON),
            generation: 0,
            token_generation: 0,
            claims: AccountClaims::default(),
            version: 0,
        }))
    }
    async fn account_of(&self, _: &Id) -> Result<Option<Account>, StoreError> {
        Ok(None)
    }
    async fn register(
        &self,
        _: &Account,
        _: &OutboxMail,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Conflict)
    }
    async fn import(&self, _: &Account, _: &AuditEvent) -> Result<ImportWrite, StoreError> {
        Ok(ImportWrite::UserIdTaken)
    }
    async fn register_decoy(
        &self,
        _: &Account,
        _: &OutboxMail,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    async fn change_account(
        &self,
        _: &Account,
        _: &AccountChange<'_>,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Conflict)
    }
    async fn erase(
        &self,
        _: &Account,
        _: Option<&OutboxMail>,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Conflict)
    }
}

impl MailTokenStore for Outbox {
    async fn pending_token(
        &self,
        _: &Id,
        _: MailPurpose,
    ) -> Result<Option<(Account, Option<PendingToken>)>, StoreError> {
        Ok(None)
    }
    async fn used_token(
        &self,
        _: &Id,
        _: MailPurpose,
    ) -> Result<Option<(Account, PendingToken)>, StoreError> {
        Ok(None)
    }
    async fn issue_token(
        &self,
        _: &Account,
        _: &NewMailToken,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Applied)
    }
}

/// Fails this many mails, then its breaker is open.
struct Failing {
    left: Cell<usize>,
}

impl Mailer for Failing {
    async fn send(&self, _: &Mail) -> Result<(), MailError> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Err(MailError::Transient("it failed".into()))
            }
            None => Err(MailError::NotAsked("too many calls have failed".into())),
        }
    }
}

struct StandsStill;
impl Clock for StandsStill {
    fn now(&self) -> UnixTime {
        NOON
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

fn email() -> EmailAddress {
    EmailAddress::parse("ann@example.com").expect("an address")
}

/// These tests never wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test store never waits"),
    }
}

/// One run, in which the mailer fails `failures` mails before its breaker opens.
fn round(outbox: &Outbox, failures: usize) -> Delivery {
    let call = RequestMeta {
        now: NOON,
        request_id: Id::from_random([1; 16]),
        client_address: String::new(),
    };
    let root_keys = RootKeys::document(&Secret::new([4; 32]));
    let settings = settings();
    let ctx = ServiceContext {
        store: outbox,
        random: &Ids,
        root_keys: &RootKeys::parse(root_keys.expose().as_bytes()).expect("a document"),
        settings: &settings,
        call: &call,
    };
    let mailer = Failing {
        left: Cell::new(failures),
    };
    ready(deliver_due(&mailer, &StandsStill, ctx)).expect("a round")
}

#[test]
fn each_retry_delay_doubles_up_to_an_hour() {
    let waits: Vec<_> = (1..=MAX_ATTEMPTS)
        .map(|attempt| wait(attempt).as_secs())
        .collect();
    let expected = [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600];
    assert_eq!(waits, expected);
    assert_eq!(wait(u64::MAX), MAX_BACKOFF);
}

#[test]
fn an_open_mailer_breaker_costs_no_attempt_and_ends_the_run() {
    let outbox = Outbox::with(&[0, 3, 0, 5]);
    let delivery = round(&outbox, 2);
    // Two failed and wait, the third was put back unchanged, the fourth was not touched.
    let waiting = [(1, 1_030), (4, 1_240), (0, 1_000), (5, 1_000)];
    assert_eq!(outbox.state(), waiting);
    assert_eq!(delivery.postponed.len(), 3);
    assert!(matches!(
        delivery.postponed.last(),
        Some(DeliveryError::Mail(MailError::NotAsked(_)))
    ));
    assert!(!delivery.more);
}

#[test]
fn no_further_run_is_requested_while_the_mailer_breaker_is_open() {
    let outbox = Outbox::with(&[0; BATCH_SIZE + 2]);
    assert!(round(&outbox, BATCH_SIZE).more);
    let outbox = Outbox::with(&[0; BATCH_SIZE + 2]);
    assert!(!round(&outbox, 2).more);
}

#[test]
fn only_a_response_of_the_provider_uses_up_the_last_attempt() {
    let outbox = Outbox::with(&[MAX_ATTEMPTS - 1]);
    for _ in 0..3 {
        let delivery = round(&outbox, 0);
        assert!(delivery.given_up.is_empty());
        assert_eq!(outbox.state(), [(MAX_ATTEMPTS - 1, 1_000)]);
    }
    assert_eq!(round(&outbox, 1).given_up.len(), 1);
    assert!(outbox.state().is_empty());
}
