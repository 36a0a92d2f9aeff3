//! What an isolate keeps between requests: its configuration, imported keys and the snapshot.
//!
//! INVARIANT: no future crosses requests. workerd ends I/O with the request that began it, so a
//! second request that awaited the first one's reading would hang or fail, and a starter that
//! disconnects would take the reading with it. Who reads is settled by a claim with a deadline,
//! and what is shared is only the finished snapshot.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use portcullis_aws::breakers::Way;
use portcullis_aws::client::Client;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::breaker::Standing;
use portcullis_core::denial::{Denial, RatePeriod};
use portcullis_core::gate::Gate;
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::{Claimed, Freshness, RefreshClaim, Snapshot, UNKNOWN_KEY_COOLDOWN};
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::guard;
use portcullis_service::snapshot::{self, Followed, Keys};
use portcullis_service::store::StoreError;
use worker::{Context, Env};

use crate::clock::{PlatformClock, now};
use crate::config::{Config, Origin};
use crate::doubts::{Rows, Settled};
use crate::shelf::CacheShelf;
use crate::transport::FetchTransport;

#[cfg(feature = "portable")]
type PlatformSignatures = portcullis_jwt::NativeSignatures;
#[cfg(not(feature = "portable"))]
type PlatformSignatures = crate::signatures::SubtleSignatures;

thread_local! {
    static ISOLATE: OnceCell<Option<Rc<Isolate>>> = const { OnceCell::new() };
}

/// One isolate's own.
#[derive(Debug)]
pub struct Isolate {
    gate: Gate,
    origin: Origin,
    rate_period: RatePeriod,
    client: Client<FetchTransport>,
    signatures: PlatformSignatures,
    shelf: CacheShelf,
    settled: Settled,
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    claim: RefCell<RefreshClaim>,
    key_claim: RefCell<RefreshClaim>,
    keys_tried_at: Cell<UnixTime>,
}

impl Isolate {
    /// This isolate's state, made at its first request. `None` if a variable is missing or wrong;
    /// the log says which, once. Variables cannot change within an isolate's life.
    pub fn current(env: &Env) -> Option<Rc<Self>> {
        ISOLATE.with(|isolate| isolate.get_or_init(|| Self::make(env)).clone())
    }

    fn make(env: &Env) -> Option<Rc<Self>> {
        let config = match Config::read(env) {
            Ok(config) => config,
            Err(error) => {
                worker::console_error!("portcullis is not configured: {error}");
                return None;
            }
        };
        let mut seed = [0; 8];
        // Only spreads the waits between retries: without it they are merely alike.
        let _ = getrandom::fill(&mut seed);
        let seed = u64::from_le_bytes(seed);
        let (region, endpoint) = (config.aws.region.as_str(), &config.aws.dynamodb);
        let table = format!("{region} {endpoint} {}", config.aws.tables.blacklist);
        Some(Rc::new(Self {
            gate: Gate::new(config.policy),
            origin: config.origin,
            rate_period: config.rate_period,
            client: Client::new(FetchTransport, config.credentials, config.aws, seed),
            signatures: PlatformSignatures::default(),
            shelf: CacheShelf::new(&table),
            settled: Settled::default(),
            snapshot: RefCell::default(),
            claim: RefCell::default(),
            key_claim: RefCell::default(),
            keys_tried_at: Cell::default(),
        }))
    }

    /// The gate under this Worker's policy.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where admitted requests go.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Over how long the platform's rate limit counts.
    pub const fn rate_period(&self) -> RatePeriod {
        self.rate_period
    }

    /// Judges `token` for a route that asks `need`, against what is known of the world, reading
    /// it anew where that is too old or lacks the token's key.
    ///
    /// # Errors
    ///
    /// The [`Denial`].
    pub async fn admit(
        self: &Rc<Self>,
        context: &Context,
        need: &Requirement,
        token: &str,
        now: UnixTime,
    ) -> Result<Verified<Claims>, Denial> {
        let world = self
            .world(context, now)
            .await
            .ok_or(Denial::StaleSnapshot)?;
        let unknown = match self.judge(need, token, &world).await {
            Err(Denial::UnknownKey) => Denial::UnknownKey,
            settled => return settled,
        };
        // The key may be on its way: nobody can say yet that the token is bad.
        if self.key_claim.borrow().is_reading(now) {
            return Err(Denial::StaleSnapshot);
        }
        if !self.may_lack_a_key(&world, now) {
            return Err(unknown);
        }
        self.keys_tried_at.set(now);
        match self.key_claim.borrow_mut().take(now) {
            Claimed::Yours => {}
            Claimed::Reading | Claimed::Failed => return Err(Denial::StaleSnapshot),
        }
        self.refresh(Keys::Now, now).await;
        let world = self.held().ok_or(Denial::StaleSnapshot)?;
        self.judge(need, token, &world).await
    }

    /// Whether the keys may be read for the sake of one that is not known: a while after they were
    /// read or tried to, so that made-up names cost nothing.
    fn may_lack_a_key(&self, world: &Snapshot, now: UnixTime) -> bool {
        let asked_at = self.keys_tried_at.get().max(world.keys_read_at());
        now.since(asked_at) >= UNKNOWN_KEY_COOLDOWN
    }

    /// The clock is read again here: the reading before may have taken its time.
    async fn judge(
        &self,
        need: &Requirement,
        token: &str,
        world: &Snapshot,
    ) -> Result<Verified<Claims>, Denial> {
        let rows = Rows {
            client: &self.client,
            now: now(),
            settled: match need.revocation {
                RevocationMode::Feed => Some((&self.settled, world.revocations().sieves())),
                RevocationMode::Lookup => None,
            },
        };
        guard::admit(
            &self.gate,
            need,
            token,
            world,
            &self.signatures,
            &rows,
            &PlatformClock,
        )
        .await
    }

    /// The newest snapshot to be had at `now`, whether it may be relied on or not: the gate judges.
    async fn world(self: &Rc<Self>, context: &Context, now: UnixTime) -> Option<Rc<Snapshot>> {
        let held = self.held();
        let freshness = held
            .as_ref()
            .map(|held| held.freshness(self.gate.policy(), now));
        match freshness {
            Some(Freshness::Fresh) => {}
            Some(Freshness::Due) => match self.take_claim(now) {
                Claimed::Yours => self.refresh_behind(context, now),
                Claimed::Reading | Claimed::Failed => {}
            },
            // A store that is known to be away is not waited for, as long as there is something to
            // rely on: what may be read again is, behind this request.
            Some(Freshness::Late) if self.store_is_away() => match self.take_claim(now) {
                Claimed::Yours => self.refresh_behind(context, now),
                Claimed::Reading | Claimed::Failed => {}
            },
            Some(Freshness::Late | Freshness::Spent) | None => match self.take_claim(now) {
                // Whoever finds the claim taken reads for itself: the other's reading is out of
                // reach, and what is held is too old.
                Claimed::Yours | Claimed::Reading => {
                    self.refresh(Keys::WhenDue, now).await;
                    return self.held();
                }
                Claimed::Failed => {}
            },
        }
        held
    }

    fn store_is_away(&self) -> bool {
        self.client.state(Way::DynamoDb).0 != Standing::Closed
    }

    fn refresh_behind(self: &Rc<Self>, context: &Context, now: UnixTime) {
        let isolate = Rc::clone(self);
        context.wait_until(async move { isolate.refresh(Keys::WhenDue, now).await });
    }

    /// Reads the world, or what is new in it, and keeps what is newer than what is held.
    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let read = self.read(keys, began_at).await;
        let whole = read.and_then(|followed| {
            self.keep(followed.snapshot);
            followed.keys_error.map_or(Ok(()), Err)
        });
        let claim = match keys {
            Keys::WhenDue => &self.claim,
            Keys::Now => &self.key_claim,
        };
        match whole {
            Ok(()) => claim.borrow_mut().release(),
            Err(error) => {
                report("the world could not be read whole", &error);
                claim.borrow_mut().fail(now());
            }
        }
    }

    fn keep(&self, read: Snapshot) {
        let mut held = self.snapshot.borrow_mut();
        let newest = match held.take().filter(|held| !held.is_ahead_of(now())) {
            Some(held) => Snapshot::clone(&held).merge(read),
            None => read,
        };
        *held = Some(Rc::new(newest));
    }

    async fn read(&self, keys: Keys, began_at: UnixTime) -> Result<Followed, StoreError> {
        let policy = self.gate.policy();
        let store = DynamoStore::at(&self.client, began_at);
        // What a clock that was set back makes of its age cannot be followed.
        match self.held().filter(|held| !held.is_ahead_of(began_at)) {
            Some(held) => {
                let previous = Snapshot::clone(&held);
                snapshot::follow(policy, previous, keys, &store, &self.shelf, began_at).await
            }
            None => Ok(Followed {
                snapshot: snapshot::read(policy, &store, &self.shelf, began_at).await?,
                keys_error: None,
            }),
        }
    }

    fn held(&self) -> Option<Rc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    fn take_claim(&self, now: UnixTime) -> Claimed {
        self.claim.borrow_mut().take(now)
    }
}

/// One line with the whole chain of causes; store errors name operations and codes, never data.
pub(crate) fn report(event: &str, error: &StoreError) {
    let mut line = format!("{event}: {error}");
    let mut cause = core::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    worker::console_error!("{line}");
}
