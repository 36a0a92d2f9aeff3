//! A test environment for rotations, and their final state.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    reason = "test code may stop at the first unexpected value"
)]

mod emergency;
mod steps;
mod together;

use core::cell::{Cell, RefCell};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::material::KeyMaterial;
use portcullis_core::keys::rotation::TooEarly;
use portcullis_core::revocation::{Revocation, RevocationTarget, Revocations, TokenIds};
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::secret::Secret;

use super::manual::rotate_now;
use super::revoke::{KeyRevocation, revoke_key};
use super::*;
use crate::ports::{
    Clock, NoEntropy, RequestMeta, SecureRandom, SignatureVerifier, Signer, UnusableKey,
};
use crate::settings::Settings;
use crate::signing::secret::{SecretChangeStore, SecretStore, SecretVersion};
use crate::store::{Announced, KeyChangeStore, KeyStore, RevocationStore, StoreError};
use crate::test_support::settings;

const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);
const FIRST: &str = "11111111-1111-1111-1111-111111111111";
const SECOND: &str = "22222222-2222-2222-2222-222222222222";
const THIRD: &str = "33333333-3333-3333-3333-333333333333";
const ACTOR: &str = "function:rotation";
const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// The ports of a rotation. The chosen call fails, before or after its effect.
struct World {
    root_keys: RootKeys,
    settings: Settings,
    call: RequestMeta,
    now: Cell<u64>,
    drawn: Cell<u8>,
    calls: Cell<usize>,
    fails: Cell<Option<(usize, Cut)>>,
    /// The duration of each write of the document.
    slow: Cell<u64>,
    stages: RefCell<Stages>,
    values: RefCell<BTreeMap<String, Secret<String>>>,
    document: RefCell<KeyDocument>,
    feed: RefCell<Vec<(Revocation, u64)>>,
    acts: RefCell<Vec<AuditKind>>,
    events: RefCell<Vec<AuditEvent>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cut {
    Before,
    After,
}

#[derive(Debug, thiserror::Error)]
#[error("cut off")]
struct CutOff;

#[derive(Debug, thiserror::Error)]
#[error("no key")]
struct NoKey;

impl World {
    fn new() -> Self {
        let root = br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#;
        Self {
            root_keys: RootKeys::parse(root).expect("root keys"),
            settings: settings(),
            call: RequestMeta {
                now: NOON,
                request_id: Id::parse("r1").expect("an id"),
                client_address: ACTOR.to_owned(),
            },
            now: Cell::new(NOON.as_secs()),
            drawn: Cell::default(),
            calls: Cell::default(),
            fails: Cell::default(),
            slow: Cell::default(),
            stages: RefCell::default(),
            values: RefCell::default(),
            document: RefCell::default(),
            feed: RefCell::default(),
            acts: RefCell::default(),
            events: RefCell::default(),
        }
    }

    /// A point where concurrent tasks may run first.
    async fn call<T>(&self, effect: impl FnOnce() -> T) -> Result<T, StoreError> {
        turn().await;
        let number = self.calls.get();
        self.calls.set(number + 1);
        let cut = self.fails.get().filter(|(at, _)| *at == number);
        if cut.is_some_and(|(_, cut)| cut == Cut::Before) {
            return Err(StoreError::new("test", CutOff));
        }
        let done = effect();
        match cut {
            Some(_) => Err(StoreError::new("test", CutOff)),
            None => Ok(done),
        }
    }

    fn pass(&self, secs: u64) {
        self.now.set(self.now.get() + secs);
    }

    fn context<'a>(&'a self, call: &'a RequestMeta) -> ServiceContext<'a, Self, Self> {
        ServiceContext {
            store: self,
            random: self,
            root_keys: &self.root_keys,
            settings: &self.settings,
            call,
        }
    }

    fn rotation(&self) -> Rotation<'_, Self> {
        Rotation {
            context: self.context(&self.call),
            secret: self,
            factory: self,
            signatures: self,
            clock: self,
            bounds: RotationBounds::default(),
            algorithm: Algorithm::EdDsa,
        }
    }

    fn step(&self, step: Step, token: &str) -> Result<(), RotateError> {
        ready(self.rotation().step(step, token))
    }

    /// The actions of Secrets Manager before the first step, then the steps.
    fn rotate(&self, token: &str) -> Result<(), RotateError> {
        self.stage(token);
        STEPS.iter().try_for_each(|step| self.step(*step, token))
    }

    fn stage(&self, token: &str) {
        let stages = &mut self.stages.borrow_mut().0;
        stages.insert(Stage::Pending, token.to_owned());
    }

    /// An environment with a first key, and a second one that is published and current.
    fn rotated() -> Self {
        let world = Self::new();
        world.rotate(FIRST).expect("a first key");
        world.pass(86_400);
        world.rotate(SECOND).expect("a second key");
        world
    }

    fn key_id(&self, token: &str) -> String {
        self.key_of(token).expect("a key")
    }

    fn key_of(&self, token: &str) -> Option<String> {
        let value = self.values.borrow()[token].clone();
        let key = KeyFactory::read(self, &value).ok()?;
        key.0.id().map(str::to_owned)
    }

    fn revoke(&self, key_id: &str) -> Result<KeyRevocation, crate::error::UseCaseError> {
        let call = RequestMeta {
            now: self.now(),
            client_address: String::new(),
            ..self.call.clone()
        };
        let lifetime = RotationBounds::default().token_lifetime;
        ready(revoke_key(key_id, lifetime, self, self.context(&call)))
    }

    fn signs(&self) -> SignWith {
        let stages = self.stages.borrow();
        let id = |stage| {
            stages
                .version(stage)
                .and_then(|version| self.key_of(version))
        };
        let (current, previous) = (id(Stage::Current), id(Stage::Previous));
        let lifetime = Duration::from_secs(600);
        let document = self.document.borrow();
        sign_with(
            &document,
            current.as_deref(),
            previous.as_deref(),
            lifetime,
            self.now(),
        )
    }

    /// The final state without identifiers and the number of writes.
    fn outcome(&self) -> (Stages, usize, Vec<(u64, Option<u64>)>, SignWith) {
        let document = self.document.borrow();
        let times = document.keys().iter();
        let times = times.map(|key| (key.sign_from.as_secs(), key.ends_at.map(UnixTime::as_secs)));
        let values = self.values.borrow().len();
        (
            self.stages.borrow().clone(),
            values,
            times.collect(),
            self.signs(),
        )
    }
}

impl RotationPorts for World {
    type Secret = Self;
    type Factory = Self;
    type Signatures = Self;
    type Clock = Self;
    type Store = Self;
    type Random = Self;
}

impl SecretStore for World {
    type Error = StoreError;

    async fn version(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, StoreError> {
        self.call(|| {
            let stages = self.stages.borrow();
            let id = match selector {
                VersionSelector::Stage(stage) => stages.version(stage)?,
                VersionSelector::Id(id) => id,
            };
            let value = self.values.borrow().get(id).cloned()?;
            Some(SecretVersion {
                id: id.to_owned(),
                value,
            })
        })
        .await
    }
}

impl SecretChangeStore for World {
    async fn stages(&self) -> Result<Stages, StoreError> {
        self.call(|| self.stages.borrow().clone()).await
    }
    async fn put_pending(
        &self,
        id: &str,
        value: &Secret<String>,
    ) -> Result<WriteOutcome, StoreError> {
        self.call(|| {
            if self.values.borrow().contains_key(id) {
                return WriteOutcome::Conflict;
            }
            self.values
                .borrow_mut()
                .insert(id.to_owned(), value.clone());
            self.stage(id);
            // As Secrets Manager does with the first version of a secret.
            let stages = &mut self.stages.borrow_mut().0;
            stages
                .entry(Stage::Current)
                .or_insert_with(|| id.to_owned());
            WriteOutcome::Applied
        })
        .await
    }
    async fn promote(&self, from: Option<&str>, to: &str) -> Result<(), StoreError> {
        self.call(|| {
            let stages = &mut self.stages.borrow_mut().0;
            // As Secrets Manager does: the stage moves from the given version, or from none.
            if stages.get(&Stage::Current).map(String::as_str) != from {
                return Err(StoreError::new("test", CutOff));
            }
            if let Some(before) = stages.insert(Stage::Current, to.to_owned()) {
                stages.insert(Stage::Previous, before);
            }
            Ok(())
        })
        .await?
    }
}

impl KeyStore for World {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        self.call(|| self.document.borrow().clone()).await
    }
}

impl KeyChangeStore for World {
    async fn change_keys(
        &self,
        document: &KeyDocument,
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        self.call(|| {
            if document.version() != self.document.borrow().version() + 1 {
                return WriteOutcome::Conflict;
            }
            assert!(!document.to_json().contains("\"d\""), "no private key");
            self.document.replace(document.clone());
            self.acts.borrow_mut().push(event.kind);
            self.events.borrow_mut().push(event.clone());
            let rows = revocation.map(|(revocation, stamp)| (revocation.clone(), stamp.as_secs()));
            self.feed.borrow_mut().extend(rows);
            self.pass(self.slow.get());
            WriteOutcome::Applied
        })
        .await
    }
}

impl RevocationStore for World {
    async fn revocations_of(&self, _: TokenIds<'_>) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
    async fn feed(&self, _: UnixTime, _: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        Ok(vec![])
    }
    async fn put_revocation(
        &self,
        _: &[Revocation],
        _: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        unreachable!("a key leaves the document in the transaction that revokes it")
    }
    async fn announce_again(
        &self,
        _: &Revocation,
        _: UnixTime,
        _: UnixTime,
        _: &Id,
    ) -> Result<Announced, StoreError> {
        Ok(Announced::Written)
    }
    async fn announce(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        _: &Id,
    ) -> Result<(), StoreError> {
        let rows = revocations.iter().map(|row| (row.clone(), stamp.as_secs()));
        self.feed.borrow_mut().extend(rows);
        Ok(())
    }
}

/// A key stored as its single octet, which signs with its own thumbprint.
struct Toy(VerifyingKey, u8);

impl Signer for Toy {
    fn key(&self) -> &VerifyingKey {
        &self.0
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.thumbprint().into())
    }
}

impl KeyFactory for World {
    type Key = Toy;
    type Error = NoKey;
    fn make(&self, algorithm: Algorithm) -> Result<Toy, NoKey> {
        self.drawn.set(self.drawn.get() + 1);
        let x = [self.drawn.get(); 32];
        let key = VerifyingKey::new(KeyMaterial::Ed25519 { x }, algorithm);
        Ok(Toy(key.map_err(|_| NoKey)?, self.drawn.get()))
    }
    fn read(&self, kept: &Secret<String>) -> Result<Toy, NoKey> {
        let octet: u8 = kept.expose().parse().map_err(|_| NoKey)?;
        let key = VerifyingKey::new(KeyMaterial::Ed25519 { x: [octet; 32] }, Algorithm::EdDsa);
        Ok(Toy(key.expect("fits"), octet))
    }
    fn write(&self, key: &Toy) -> Secret<String> {
        Secret::new(key.1.to_string())
    }
}

impl SignatureVerifier for World {
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        Ok(
            if check.signature() == check.key().thumbprint().as_bytes() {
                SignatureVerdict::Valid
            } else {
                SignatureVerdict::Invalid
            },
        )
    }
}

impl Clock for World {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now.get())
    }
}

impl SecureRandom for World {
    fn id(&self) -> Result<Id, NoEntropy> {
        self.drawn.set(self.drawn.get() + 1);
        Ok(Id::from_random([self.drawn.get(); 16]))
    }
    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Err(NoEntropy)
    }
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        Err(NoEntropy)
    }
}

/// Yields to other tasks.
async fn turn() {
    let mut had = false;
    core::future::poll_fn(|_| {
        if core::mem::replace(&mut had, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}
