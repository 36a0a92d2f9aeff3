//! Concurrent publications, unreadable versions, and keys that do not sign yet or have ended.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "test code may stop at the first unexpected value"
)]

use core::cell::{Cell, RefCell};

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::rotation::RotationBounds;
use portcullis_core::revocation::Revocation;
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;

use thiserror::Error;

use super::*;
use crate::context::ServiceContext;
use crate::ports::{NoEntropy, RequestMeta, SecureRandom, SignError};
use crate::settings::Settings;
use crate::signing::secret::SecretStore;
use crate::store::{KeyChangeStore, KeyStore, StoreError};
use crate::test_support::{ready, settings};

const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);
const LIFETIME: Duration = Duration::from_secs(600);
const CACHE: Duration = Duration::from_secs(300);
const CURRENT: &str = "Current";
const PREVIOUS: &str = "Previous";

fn after(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
}

/// A key that signs nothing.
#[derive(Clone, Debug)]
struct Toy(VerifyingKey);

impl Signer for Toy {
    fn key(&self) -> &VerifyingKey {
        &self.0
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError)
    }
}

fn toy(number: u8) -> Toy {
    let material = portcullis_core::keys::material::KeyMaterial::Ed25519 { x: [number; 32] };
    Toy(VerifyingKey::new(material, Algorithm::EdDsa).expect("fits"))
}

#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
enum Gone {
    #[error("away")]
    Away,
    #[error("no key")]
    NoKey,
}

/// A store, a secret of two versions and a log.
struct Fixture {
    root_keys: RootKeys,
    settings: Settings,
    call: RequestMeta,
    document: RefCell<KeyDocument>,
    /// How often a concurrent host writes the document just before this one.
    rivals: Cell<usize>,
    current: RefCell<Option<Result<Toy, Gone>>>,
    previous: RefCell<Option<Result<Toy, Gone>>>,
    number: Cell<u8>,
    away: Cell<bool>,
    alone: bool,
    reads: Cell<usize>,
    lines: RefCell<Vec<AuditKind>>,
    notices: RefCell<Vec<String>>,
}

impl Fixture {
    fn new(current: u8) -> Self {
        let root = br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#;
        Self {
            root_keys: RootKeys::parse(root).expect("root keys"),
            settings: settings(),
            call: RequestMeta {
                now: NOON,
                request_id: Id::from_random([2; 16]),
                client_address: "host".to_owned(),
            },
            document: RefCell::default(),
            rivals: Cell::default(),
            current: RefCell::new(Some(Ok(toy(current)))),
            previous: RefCell::default(),
            number: Cell::new(100),
            away: Cell::default(),
            alone: false,
            reads: Cell::default(),
            lines: RefCell::default(),
            notices: RefCell::default(),
        }
    }

    /// A rotation published the current key after the key `before`.
    fn rotated(before: u8, current: u8) -> Self {
        let fixture = Self::new(current);
        fixture.previous.replace(Some(Ok(toy(before))));
        let bounds = RotationBounds::default();
        let document = KeyDocument::default().with(toy(before).0, NOON);
        let document = document.publishing(&toy(current).0, true, &bounds, NOON);
        let id = toy(current).0.thumbprint();
        let document = document.and_then(|it| it.retiring(&id, &bounds, NOON));
        fixture.document.replace(document.expect("one leaves"));
        fixture
    }

    fn signs(&self, keys: &SigningKeys<Toy>, now: UnixTime) -> Result<String, SigningError<Gone>> {
        let published = JwksCache::new(CACHE);
        let key = ready(keys.ready(&published, self, now))?;
        Ok(key.0.thumbprint())
    }
}

fn keys() -> SigningKeys<Toy> {
    SigningKeys::new(LIFETIME, CACHE)
}

impl SecretStore for Fixture {
    type Error = Gone;

    /// The value of a version is the name of its stage.
    async fn version(&self, selector: VersionSelector<'_>) -> Result<Option<SecretVersion>, Gone> {
        self.reads.set(self.reads.get() + 1);
        if self.away.get() {
            return Err(Gone::Away);
        }
        let (key, value) = match selector {
            VersionSelector::Stage(Stage::Current) => (self.current.borrow(), CURRENT),
            VersionSelector::Stage(Stage::Previous) => (self.previous.borrow(), PREVIOUS),
            VersionSelector::Stage(Stage::Pending) | VersionSelector::Id(_) => return Ok(None),
        };
        Ok(key.as_ref().map(|key| SecretVersion {
            id: format!("{value} {key:?}"),
            value: Secret::new(value.to_owned()),
        }))
    }
}

impl KeyFactory for Fixture {
    type Key = Toy;
    type Error = Gone;

    fn make(&self, _: Algorithm) -> Result<Toy, Gone> {
        Err(Gone::NoKey)
    }
    fn read(&self, stored: &Secret<String>) -> Result<Toy, Gone> {
        let key = match stored.expose().as_str() {
            CURRENT => self.current.borrow(),
            PREVIOUS => self.previous.borrow(),
            _ => return Err(Gone::NoKey),
        };
        key.clone().unwrap_or(Err(Gone::NoKey))
    }
    fn write(&self, _: &Toy) -> Secret<String> {
        Secret::new(String::new())
    }
}

impl SigningPorts for Fixture {
    type Secret = Self;
    type Factory = Self;
    type Store = Self;
    type Random = Self;
    type Error = Gone;

    fn secret(&self) -> &Self {
        self
    }
    fn factory(&self) -> &Self {
        self
    }
    fn store(&self) -> &Self {
        self
    }
    async fn context(&self) -> Result<ServiceContext<'_, Self, Self>, Gone> {
        Ok(ServiceContext {
            store: self,
            random: self,
            root_keys: &self.root_keys,
            settings: &self.settings,
            call: &self.call,
        })
    }
    fn is_sole_holder(&self) -> bool {
        self.alone
    }
    fn on_event(&self, event: SigningEvent<'_, Gone>) {
        self.notices.borrow_mut().push(format!("{event:?}"));
    }
}

impl SecureRandom for Fixture {
    fn id(&self) -> Result<Id, NoEntropy> {
        Ok(Id::from_random([1; 16]))
    }
    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Err(NoEntropy)
    }
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        Err(NoEntropy)
    }
}

impl KeyStore for Fixture {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        Ok(self.document.borrow().clone())
    }
}

impl KeyChangeStore for Fixture {
    async fn change_keys(
        &self,
        next: &KeyDocument,
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        assert!(revocation.is_none(), "a host revokes no key");
        if self.rivals.get() > 0 {
            self.rivals.set(self.rivals.get().saturating_sub(1));
            self.number.set(self.number.get() + 1);
            let rival = toy(self.number.get()).0;
            self.document
                .replace_with(|held| held.clone().with(rival, NOON));
        }
        if next.version().checked_sub(1) != Some(self.document.borrow().version()) {
            return Ok(WriteOutcome::Conflict);
        }
        self.document.replace(next.clone());
        self.lines.borrow_mut().push(event.kind);
        Ok(WriteOutcome::Applied)
    }
}

#[test]
fn a_contended_publication_retries_writes_an_audit_entry_and_loses_no_other_key() {
    let fixture = Fixture::new(1);
    fixture.rivals.set(3);
    assert_eq!(
        fixture.signs(&keys(), NOON).expect("published"),
        toy(1).0.thumbprint()
    );
    fixture.signs(&keys(), NOON).expect("found published");
    let document = fixture.document.borrow();
    assert_eq!((document.keys().len(), document.version()), (4, 4));
    assert_eq!(
        *fixture.lines.borrow(),
        [AuditKind::KeysChanged(KeyAct::Publish)]
    );
}

#[test]
fn a_publication_that_is_always_contended_is_an_error() {
    let fixture = Fixture::new(1);
    fixture.rivals.set(usize::MAX);
    let end = fixture.signs(&keys(), NOON);
    assert!(matches!(end, Err(SigningError::Contended)), "{end:?}");
}

#[test]
fn a_shared_secret_and_a_retired_key_never_sign() {
    let fixture = Fixture::new(1);
    let jwk = br#"{"kty":"oct","alg":"HS256","kid":"shared","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}"#;
    let shared = Toy(VerifyingKey::parse(jwk).expect("long enough"));
    fixture.current.replace(Some(Ok(shared)));
    let end = fixture.signs(&keys(), NOON);
    assert!(matches!(end, Err(SigningError::Unpublishable)), "{end:?}");

    let fixture = Fixture {
        alone: true,
        ..Fixture::new(1)
    };
    let document = KeyDocument::default().with(toy(1).0, NOON);
    let document = document.revoking(&toy(1).0.thumbprint(), NOON);
    fixture.document.replace(document.expect("there"));
    let end = fixture.signs(&keys(), NOON);
    assert!(matches!(end, Err(SigningError::Retired)), "{end:?}");
}

#[test]
fn only_the_first_key_and_a_key_of_a_single_host_are_published_without_a_rotation() {
    for (alone, signs) in [(false, false), (true, true)] {
        let fixture = Fixture {
            alone,
            ..Fixture::new(1)
        };
        let others = KeyDocument::default().with(toy(9).0, NOON);
        fixture.document.replace(others);
        let end = fixture.signs(&keys(), NOON);
        assert_eq!(end.is_ok(), signs, "{end:?}");
        assert!(signs || matches!(end, Err(SigningError::NoneSigns)));
    }
}

#[test]
fn the_current_key_signs_from_sign_from_on_and_the_previous_one_until_then() {
    let (fixture, keys) = (Fixture::rotated(1, 2), keys());
    let lead = RotationBounds::default().propagation_delay().as_secs();
    for (now, number) in [(0, 1), (lead - 1, 1), (lead, 2)] {
        let signs = fixture.signs(&keys, after(now)).expect("one signs");
        assert_eq!(signs, toy(number).0.thumbprint(), "{now}");
    }
}

#[test]
fn a_host_with_tokens_that_outlive_the_key_reports_the_reason() {
    let fixture = Fixture::rotated(1, 2);
    let bounds = RotationBounds::default();
    let hour = SigningKeys::new(Duration::from_secs(3_600), CACHE);
    // The previous key ends one retirement delay after the propagation delay: one hour and one
    // minute earlier, its tokens would outlive it.
    let last = (bounds.propagation_delay() + bounds.retirement_delay()).as_secs() - 3_600 - 60 - 2;
    fixture.signs(&hour, after(last)).expect("just fits");
    let end = fixture.signs(&hour, after(last + 1));
    assert!(matches!(end, Err(SigningError::Outlived)), "{end:?}");
    fixture
        .signs(&hour, after(bounds.propagation_delay().as_secs()))
        .expect("the next one");
}

#[test]
fn the_previous_version_signs_while_the_current_one_contains_no_key() {
    let fixture = Fixture::rotated(1, 2);
    fixture.current.replace(Some(Err(Gone::NoKey)));
    let signs = fixture.signs(&keys(), NOON).expect("the previous one");
    assert_eq!(signs, toy(1).0.thumbprint());
    assert_eq!(*fixture.notices.borrow(), ["NoKey(Current, NoKey)"]);
    fixture.previous.replace(None);
    let end = fixture.signs(&keys(), NOON);
    assert!(
        matches!(end, Err(SigningError::Port(Gone::NoKey))),
        "{end:?}"
    );
    fixture.current.replace(None);
    let end = fixture.signs(&keys(), NOON);
    assert!(matches!(end, Err(SigningError::NoCurrent)), "{end:?}");
}

#[test]
fn a_missing_current_version_is_bridged_by_the_cache_and_a_repair_takes_effect() {
    let (fixture, keys) = (Fixture::rotated(1, 2), keys());
    fixture.signs(&keys, NOON).expect("read");
    fixture.current.replace(None);
    fixture.signs(&keys, after(300)).expect("bridged");
    assert_eq!(fixture.notices.borrow().len(), 1);
    // Neither key signs any more, and the previous stage moves to another version while the current
    // version is unchanged.
    fixture.current.replace(Some(Ok(toy(2))));
    let document = KeyDocument::default().with(toy(3).0, NOON);
    fixture.document.replace(document);
    assert!(fixture.signs(&keys, after(310)).is_err());
    fixture.previous.replace(Some(Ok(toy(3))));
    let signs = fixture
        .signs(&keys, after(311))
        .expect("the repair takes effect");
    assert_eq!(signs, toy(3).0.thumbprint());
}

#[test]
fn an_unavailable_secret_is_bridged_by_the_cache_with_one_retry_per_interval() {
    let (fixture, keys) = (Fixture::rotated(1, 2), keys());
    fixture.signs(&keys, NOON).expect("read");
    assert_eq!(fixture.reads.get(), 2);
    fixture.signs(&keys, after(299)).expect("kept");
    assert_eq!(fixture.reads.get(), 2, "cached for 300 s");
    fixture.away.set(true);
    for (now, reads) in [(300, 3), (309, 3), (310, 4)] {
        fixture.signs(&keys, after(now)).expect("bridged");
        assert_eq!(fixture.reads.get(), reads, "{now}");
    }
    assert_eq!(fixture.notices.borrow().len(), 2);
    // If no cached key signs, nothing is bridged, and every call reads.
    fixture.document.replace_with(|held| {
        held.revoking(&toy(1).0.thumbprint(), NOON)
            .and_then(|it| it.revoking(&toy(2).0.thumbprint(), NOON))
            .expect("there")
    });
    for reads in [5, 6] {
        let end = fixture.signs(&keys, after(311));
        assert!(
            matches!(end, Err(SigningError::Port(Gone::Away))),
            "{end:?}"
        );
        assert_eq!(fixture.reads.get(), reads);
    }
}
