//! The four steps, cut off between any two calls, and what stands at the end.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    reason = "a world that only tests live in may stop at the first surprise"
)]

use core::cell::{Cell, RefCell};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::material::KeyMaterial;
use portcullis_core::keys::rotation::TooEarly;
use portcullis_core::revocation::{Revocable, Revocation, RevocationTarget, Revocations};
use portcullis_core::secret::Secret;
use portcullis_core::vault::NONCE_BYTES;
use proptest::prelude::*;

use super::*;
use crate::ports::{Call, NoEntropy, UnusableKey};
use crate::store::{KeyStore, RevocationStore, StoreError};

const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);
const FIRST: &str = "11111111-1111-1111-1111-111111111111";
const SECOND: &str = "22222222-2222-2222-2222-222222222222";
const THIRD: &str = "33333333-3333-3333-3333-333333333333";
const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// Everything a rotation touches. It fails at the call that it is told to, before that call has
/// done anything or after.
struct World {
    vault: Vault,
    now: Cell<u64>,
    drawn: Cell<u8>,
    calls: Cell<usize>,
    fails: Cell<Option<(usize, Cut)>>,
    /// How long each write of the document takes.
    slow: Cell<u64>,
    stages: RefCell<Stages>,
    values: RefCell<BTreeMap<String, Secret<String>>>,
    document: RefCell<KeyDocument>,
    feed: RefCell<Vec<(Revocation, u64)>>,
    acts: RefCell<Vec<AuditKind>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cut {
    Before,
    After,
}

#[derive(Debug, thiserror::Error)]
#[error("cut off")]
struct CutOff;

impl World {
    fn new() -> Self {
        let root = br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#;
        Self {
            vault: Vault::parse(root).expect("root keys"),
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
        }
    }

    /// Whoever else is about may have its turn before it.
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

    fn rotation(&self) -> Rotation<'_, Self, Self, Self, Self, Self, Self> {
        Rotation {
            secrets: self,
            documents: self,
            smith: self,
            signatures: self,
            clock: self,
            chance: self,
            vault: &self.vault,
            actor: "function:rotation",
            bounds: RotationBounds::default(),
            algorithm: Algorithm::EdDsa,
        }
    }

    fn step(&self, step: Step, token: &str) -> Result<(), RotateError> {
        ready(self.rotation().step(step, token))
    }

    /// What Secrets Manager does before the first step, and then the steps.
    fn rotate(&self, token: &str) -> Result<(), RotateError> {
        self.stage(token);
        STEPS.iter().try_for_each(|step| self.step(*step, token))
    }

    fn stage(&self, token: &str) {
        let stages = &mut self.stages.borrow_mut().0;
        stages.insert(Stage::Pending, token.to_owned());
    }

    /// A world whose first key came, and whose second is published and in force.
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
        let key = Keysmith::read(self, &value).ok()?;
        key.0.id().map(str::to_owned)
    }

    fn revoke(&self, key_id: &str) -> Result<KeyRevocation, crate::error::ServiceError> {
        let call = Call {
            now: self.now(),
            request_id: Id::parse("r1").expect("an id"),
            client_address: String::new(),
        };
        ready(revoke_key(key_id, &self.rotation(), &call))
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

    /// Everything that is left behind, but for names and how often it was written.
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

impl SecretStore for World {
    async fn stages(&self) -> Result<Stages, StoreError> {
        self.call(|| self.stages.borrow().clone()).await
    }
    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, StoreError> {
        self.call(|| self.values.borrow().get(id).cloned()).await
    }
    async fn put_pending(&self, id: &str, value: &Secret<String>) -> Result<Written, StoreError> {
        self.call(|| {
            if self.values.borrow().contains_key(id) {
                return Written::Conflict;
            }
            self.values
                .borrow_mut()
                .insert(id.to_owned(), value.clone());
            self.stage(id);
            // As Secrets Manager does with the first version of all.
            let stages = &mut self.stages.borrow_mut().0;
            stages
                .entry(Stage::Current)
                .or_insert_with(|| id.to_owned());
            Written::Done
        })
        .await
    }
    async fn put_in_force(&self, from: Option<&str>, to: &str) -> Result<(), StoreError> {
        self.call(|| {
            let stages = &mut self.stages.borrow_mut().0;
            // As Secrets Manager does: it is taken from the one that is said to have it, or from none.
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
        called_back: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<Written, StoreError> {
        self.call(|| {
            if document.version() != self.document.borrow().version() + 1 {
                return Written::Conflict;
            }
            assert!(!document.to_json().contains("\"d\""), "no private key");
            self.document.replace(document.clone());
            self.acts.borrow_mut().push(event.kind);
            let rows = called_back.map(|(revocation, stamp)| (revocation.clone(), stamp.as_secs()));
            self.feed.borrow_mut().extend(rows);
            self.pass(self.slow.get());
            Written::Done
        })
        .await
    }
}

impl RevocationStore for World {
    async fn revocations_of(&self, _: Revocable<'_>) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
    async fn feed(&self, _: UnixTime, _: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        Ok(vec![])
    }
    async fn revoke(
        &self,
        _: &[Revocation],
        _: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        unreachable!("a key leaves the document in the step that calls it back")
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

/// A key that is kept as the one octet it is made of, and signs with its own thumbprint.
struct Toy(VerifyingKey, u8);

impl Signer for Toy {
    fn key(&self) -> &VerifyingKey {
        &self.0
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.thumbprint().into())
    }
}

impl Keysmith for World {
    type Key = Toy;
    fn make(&self, algorithm: Algorithm) -> Result<Toy, KeysmithError> {
        self.drawn.set(self.drawn.get() + 1);
        let x = [self.drawn.get(); 32];
        let key = VerifyingKey::new(KeyMaterial::Ed25519 { x }, algorithm);
        Ok(Toy(
            key.map_err(|_| KeysmithError::NotMade)?,
            self.drawn.get(),
        ))
    }
    fn read(&self, kept: &Secret<String>) -> Result<Toy, KeysmithError> {
        let octet: u8 = kept.expose().parse().map_err(|_| KeysmithError::NoKey)?;
        let key = VerifyingKey::new(KeyMaterial::Ed25519 { x: [octet; 32] }, Algorithm::EdDsa);
        Ok(Toy(key.expect("fits"), octet))
    }
    fn write(&self, key: &Toy) -> Secret<String> {
        Secret::new(key.1.to_string())
    }
}

impl Signatures for World {
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

impl Chance for World {
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

/// Lets others have a turn.
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

/// Runs both to their ends, whose turns come as `turns` says and then one after the other;
/// `between` looks at what is between any two calls.
fn side_by_side<T>(
    one: impl Future<Output = T>,
    other: impl Future<Output = T>,
    turns: &[bool],
    between: impl Fn(),
) {
    let mut context = Context::from_waker(Waker::noop());
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_ended, mut other_ended) = (false, false);
    let mut turns = turns.iter();
    while !(one_ended && other_ended) {
        let is_ones = turns.next().copied().unwrap_or(!one_ended);
        if is_ones && !one_ended {
            one_ended = one.as_mut().poll(&mut context).is_ready();
        } else if !other_ended {
            other_ended = other.as_mut().poll(&mut context).is_ready();
        }
        between();
    }
}

#[test]
fn a_rotation_publishes_puts_in_force_and_tells_the_old_key_its_end() {
    let world = World::rotated();
    let (bounds, now) = (RotationBounds::default(), world.now());
    let (stages, values, times, signs) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(SECOND));
    assert_eq!(stages.version(Stage::Previous), Some(FIRST));
    assert_eq!((values, signs), (2, SignWith::Previous));
    let sign_from = now.after(bounds.lead());
    let end = sign_from.after(bounds.tail());
    assert_eq!(
        times,
        [
            (NOON.as_secs() - 2, Some(end.as_secs())),
            (sign_from.as_secs(), None)
        ]
    );
    use KeyAct::{Publish, Rotate};
    let acts = [Publish, Publish, Rotate].map(AuditKind::KeysChanged);
    assert_eq!(
        *world.acts.borrow(),
        acts,
        "the first key has none to follow"
    );
    // Asked again in any order, nothing more happens.
    for step in STEPS.iter().rev() {
        world.step(*step, SECOND).expect("done before");
    }
    assert_eq!(world.acts.borrow().len(), 3);
    let early = world.rotate(THIRD);
    assert!(matches!(early, Err(RotateError::TooEarly(TooEarly { until })) if until == end));
    world.now.set(end.as_secs());
    world.rotate(THIRD).expect("the cycle before is over");
    assert_eq!(
        world.document.borrow().keys().len(),
        2,
        "the first key is gone"
    );
}

#[test]
fn cut_off_before_or_after_any_call_a_repetition_ends_the_same() {
    let undisturbed = World::rotated();
    let (expected, whole) = (undisturbed.outcome(), undisturbed.calls.get());
    let mut cuts = 0;
    for at in 0..whole {
        for cut in [Cut::Before, Cut::After] {
            let world = World::new();
            world.fails.set(Some((at, cut)));
            for (token, pause) in [(FIRST, 0), (SECOND, 86_400)] {
                world.pass(pause);
                if let Err(error) = world.rotate(token) {
                    assert!(matches!(error, RotateError::Store(_)), "{error}");
                    cuts += 1;
                    world.rotate(token).expect("repeated");
                }
            }
            assert_eq!(world.outcome(), expected, "call {at}, {cut:?}");
        }
    }
    assert_eq!(cuts, 2 * whole, "each cut was felt");
}

#[test]
fn a_rotation_that_was_never_finished_hurts_nobody_and_is_taken_up_by_hand() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set] {
        world.step(step, SECOND).expect("done");
    }
    world.pass(90 * 86_400);
    assert_eq!(world.signs(), SignWith::Current, "the old key signs on");
    assert_eq!(
        ready(rotate_now(&world.rotation())).expect("finished"),
        SECOND
    );
    assert_eq!(world.signs(), SignWith::Current);
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(SECOND));
}

#[test]
fn a_write_that_took_too_long_is_stamped_anew() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.slow.set(3);
    world.stage(SECOND);
    world.step(Step::Create, SECOND).expect("made");
    let late = world.step(Step::Set, SECOND);
    assert!(matches!(late, Err(RotateError::Contended)));
    world.slow.set(2);
    let stamp = world.now();
    world.step(Step::Set, SECOND).expect("in time");
    let document = world.document.borrow();
    let key = document
        .find(&world.key_id(SECOND))
        .expect("published")
        .sign_from;
    assert_eq!(key, stamp.after(RotationBounds::default().lead()));
}

#[test]
fn steps_out_of_order_and_strange_tokens_are_refused() {
    let world = World::new();
    for step in [Step::Set, Step::Test] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotPending)
        ));
    }
    world.stage(FIRST);
    for step in [Step::Set, Step::Test, Step::Finish] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotCreated)
        ));
    }
    world.step(Step::Create, FIRST).expect("made");
    for step in [Step::Test, Step::Finish] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotPublished)
        ));
    }
    for token in [
        "",
        "short",
        "aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa",
        &"a".repeat(65),
    ] {
        assert!(matches!(
            world.step(Step::Create, token),
            Err(RotateError::Token)
        ));
    }
}

#[test]
fn what_a_secret_held_before_its_first_key_is_in_nobodys_way() {
    let world = World::new();
    let version = "00000000-0000-4000-8000-000000000000";
    let made_up = Secret::new("made by a template".to_owned());
    world
        .values
        .borrow_mut()
        .insert(version.to_owned(), made_up);
    let current = (Stage::Current, version.to_owned());
    world.stages.borrow_mut().0.extend([current]);
    world.rotate(FIRST).expect("a first key");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(FIRST));
    assert_eq!(world.signs(), SignWith::Current, "at once");
}

#[test]
fn a_published_key_that_is_not_the_secrets_own_is_found_by_the_trial() {
    let world = World::new();
    world.stage(FIRST);
    for step in [Step::Create, Step::Set] {
        world.step(step, FIRST).expect("done");
    }
    let kid = world.key_id(FIRST);
    let other = KeyMaterial::Ed25519 { x: [99; 32] };
    let other = VerifyingKey::new(other, Algorithm::EdDsa).expect("fits");
    let json = world.document.borrow().to_json();
    let json = json.replace(&format!(r#""kid":"{kid}""#), r#""kid":"renamed""#);
    world
        .document
        .replace(KeyDocument::parse(json.as_bytes()).expect("ours"));
    assert!(matches!(
        world.step(Step::Test, FIRST),
        Err(RotateError::NotPublished)
    ));
    let jwk = other
        .to_jwk()
        .expect("public")
        .replace(other.id().expect("named"), &kid);
    let json = format!(r#"{{"version":1,"keys":[{{"jwk":{jwk},"sign_from":0}}]}}"#);
    world
        .document
        .replace(KeyDocument::parse(json.as_bytes()).expect("ours"));
    let end = world.step(Step::Test, FIRST);
    assert!(matches!(end, Err(RotateError::DoesNotVerify)));
}

#[test]
fn a_key_that_is_called_back_is_gone_announced_and_never_published_again() {
    let world = World::rotated();
    let kid = world.key_id(FIRST);
    let version = world.document.borrow().version();
    assert_eq!(world.revoke(&kid).expect("done"), KeyRevocation::Done);
    assert_eq!(
        world.signs(),
        SignWith::Current,
        "the new one signs at once"
    );
    let feed = world.feed.borrow().clone();
    let [(row, stamp)] = feed.as_slice() else {
        panic!("one row: {feed:?}");
    };
    assert_eq!(row.target, RevocationTarget::Key(kid.clone()));
    assert_eq!(row.until, world.now().after(Duration::from_secs(3_662)));
    assert_eq!(*stamp, world.now.get());
    assert_eq!(world.document.borrow().version(), version + 1);
    // A repetition announces it anew and writes no document.
    assert_eq!(world.revoke(&kid).expect("done"), KeyRevocation::Done);
    assert_eq!(world.feed.borrow().len(), 2);
    assert_eq!(world.document.borrow().version(), version + 1);
    let nobody = world.revoke("nobody").expect("answered");
    assert_eq!(nobody, KeyRevocation::UnknownKey);
}

#[test]
fn after_an_emergency_the_next_rotation_begins_at_once_and_signs_when_it_must() {
    // The key in force is gone and the one before has its end taken away: it bridges.
    let world = World::rotated();
    world.pass(87_000);
    assert_eq!(world.signs(), SignWith::Current);
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    assert_eq!(world.signs(), SignWith::Previous);
    world.rotate(THIRD).expect("at once");
    assert_eq!(world.signs(), SignWith::Previous, "it kept its stage");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Previous), Some(FIRST));
    world.pass(RotationBounds::default().lead().as_secs());
    assert_eq!(world.signs(), SignWith::Current);

    // Nobody is left to sign: the next key does not wait for its readers.
    let world = World::rotated();
    for token in [FIRST, SECOND] {
        let _ = world.revoke(&world.key_id(token)).expect("done");
    }
    assert_eq!(world.signs(), SignWith::Neither);
    world.rotate(THIRD).expect("at once");
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn a_rotation_whose_key_was_called_back_is_given_up_for_another() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set] {
        world.step(step, SECOND).expect("done");
    }
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    for step in [Step::Set, Step::Test] {
        assert!(matches!(
            world.step(step, SECOND),
            Err(RotateError::Withdrawn)
        ));
    }
    let third = ready(rotate_now(&world.rotation())).expect("another");
    assert_ne!(third, SECOND);
    assert_eq!(world.signs(), SignWith::Previous);
}

#[test]
fn a_key_called_back_between_trial_and_end_is_said_to_be() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set, Step::Test] {
        world.step(step, SECOND).expect("done");
    }
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    let end = world.step(Step::Finish, SECOND);
    assert!(matches!(end, Err(RotateError::Withdrawn)));
}

#[test]
fn a_pending_version_that_holds_no_key_is_given_up_by_hand() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    let text = Secret::new("somebody else's".to_owned());
    world.values.borrow_mut().insert(SECOND.to_owned(), text);
    world.step(Step::Create, SECOND).expect("it has a value");
    let end = world.step(Step::Set, SECOND);
    assert!(matches!(end, Err(RotateError::Key(KeysmithError::NoKey))));
    let third = ready(rotate_now(&world.rotation())).expect("another");
    assert_ne!(third, SECOND);
}

/// A rotation under another token that began before this one ended, and goes on after it.
#[test]
fn a_rotation_that_another_overtook_waits_and_takes_nobody_off_the_stages() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.pass(86_400);
    world.stage(THIRD);
    // It has judged that it may begin, and is about to put its key into the secret.
    let mut late = Box::pin(async { world.rotation().step(Step::Create, THIRD).await });
    let mut context = Context::from_waker(Waker::noop());
    let calls = world.calls.get();
    while world.calls.get() < calls + 4 {
        assert!(late.as_mut().poll(&mut context).is_pending());
    }
    world.rotate(SECOND).expect("overtakes");
    ready(late).expect("made");
    assert!(world.outcome().0.has(THIRD, Stage::Pending));
    let set = world.step(Step::Set, THIRD);
    let sign_from = world.now().after(RotationBounds::default().lead());
    let over = sign_from.after(RotationBounds::default().tail());
    assert!(matches!(set, Err(RotateError::TooEarly(TooEarly { until })) if until == over));
    assert_eq!(world.signs(), SignWith::Previous);
    world.now.set(over.as_secs());
    assert_eq!(
        ready(rotate_now(&world.rotation())).expect("goes on"),
        THIRD
    );
}

#[test]
fn a_key_called_back_beside_one_that_was_given_up_leaves_the_signer_its_stage() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.pass(86_400);
    world.stage(THIRD);
    for step in [Step::Create, Step::Set] {
        world.step(step, THIRD).expect("done");
    }
    // Its stage is taken from it, and another rotation goes to its end.
    world.rotate(SECOND).expect("a second key");
    world.pass(3_600);
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    assert_eq!(world.signs(), SignWith::Previous);
    ready(rotate_now(&world.rotation())).expect("at once");
    assert_eq!(world.signs(), SignWith::Previous, "it kept its stage");
    world.pass(RotationBounds::default().lead().as_secs());
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn where_nobody_signs_no_rotation_is_too_early() {
    let world = World::rotated();
    world.pass(3_600);
    // A value that somebody put into the secret by hand takes the stages.
    let text = Secret::new("somebody else's".to_owned());
    world.values.borrow_mut().insert(THIRD.to_owned(), text);
    let stages = [(Stage::Current, THIRD), (Stage::Previous, SECOND)];
    let stages = stages.map(|(stage, version)| (stage, version.to_owned()));
    world.stages.borrow_mut().0.extend(stages);
    world.stages.borrow_mut().0.remove(&Stage::Pending);
    assert_eq!(world.signs(), SignWith::Neither);
    ready(rotate_now(&world.rotation())).expect("at once");
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn a_version_whose_key_was_told_its_end_is_not_put_in_force() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.lead() + bounds.tail()).as_secs());
    world.stage(FIRST);
    let end = world.step(Step::Finish, FIRST);
    assert!(matches!(end, Err(RotateError::NotPublished)), "{end:?}");
}

#[test]
fn a_stage_moved_back_by_hand_brings_no_old_key_back() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    let first_ends = bounds.lead() + bounds.tail();
    world.pass(first_ends.as_secs() + 7 * 86_400);
    let stages = [(Stage::Current, FIRST), (Stage::Previous, SECOND)];
    let stages = stages.map(|(stage, version)| (stage, version.to_owned()));
    world.stages.borrow_mut().0.extend(stages);
    assert_eq!(world.signs(), SignWith::Previous, "the first one has ended");
    world.rotate(THIRD).expect("the second one's successor");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Previous), Some(SECOND));
    assert_eq!(world.signs(), SignWith::Previous);
    assert!(world.document.borrow().find(&world.key_id(FIRST)).is_none());
    world.pass(bounds.lead().as_secs());
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn an_end_said_again_late_tells_no_successor_its_end() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.lead() + bounds.tail()).as_secs());
    world.stage(THIRD);
    for step in [Step::Create, Step::Set] {
        world.step(step, THIRD).expect("done");
    }
    world.step(Step::Finish, SECOND).expect("done long before");
    let kid = world.key_id(THIRD);
    let ends_at = |world: &World| world.document.borrow().find(&kid).expect("there").ends_at;
    assert_eq!(ends_at(&world), None);
    for step in [Step::Test, Step::Finish] {
        world.step(step, THIRD).expect("done");
    }
    assert_eq!(ends_at(&world), None);
}

proptest! {
    /// Two that rotate at once under tokens of their own, whatever the order of their calls: somebody
    /// signs at any time, and once the first of them is over the next goes to its end.
    #[test]
    fn two_rotations_at_once_leave_somebody_to_sign(
        turns in prop::collection::vec(any::<bool>(), 0..80), apart in 0_u64..3, emergency: bool,
    ) {
        let world = World::new();
        world.rotate(FIRST).expect("a first key");
        world.pass(86_400);
        let all = async |token: &str, pause: u64| {
            world.pass(pause);
            world.stage(token);
            let mut end = Ok(());
            for step in STEPS {
                end = end.and(world.rotation().step(step, token).await);
            }
            end
        };
        side_by_side(all(SECOND, 0), all(THIRD, apart), &turns, || {
            assert_ne!(world.signs(), SignWith::Neither);
        });
        let bounds = RotationBounds::default();
        if emergency {
            let current = world.stages.borrow().version(Stage::Current).map(str::to_owned);
            let current = world.key_id(&current.expect("one"));
            let _ = world.revoke(&current).expect("done");
            prop_assert_ne!(world.signs(), SignWith::Neither);
            ready(rotate_now(&world.rotation())).expect("at once");
            prop_assert_ne!(world.signs(), SignWith::Neither);
        }
        for _ in 0..2 {
            world.pass((bounds.lead() + bounds.tail()).as_secs() + 4);
            prop_assert_ne!(world.signs(), SignWith::Neither);
            ready(rotate_now(&world.rotation())).expect("goes to its end");
            prop_assert_ne!(world.signs(), SignWith::Neither);
        }
        // Nobody stands in the document whom nobody will tell an end.
        let open = world.document.borrow().keys().iter().filter(|key| key.ends_at.is_none()).count();
        prop_assert_eq!(open, 1);
    }
}
