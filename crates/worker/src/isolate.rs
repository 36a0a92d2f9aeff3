//! What an isolate keeps between requests: its configuration, imported keys and what it knows.
//!
//! INVARIANT: no future crosses requests. workerd ends I/O with the request that began it, so a
//! second request that awaited the first one's reading would hang or fail, and a starter that
//! disconnects would take the reading with it.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis_aws::breakers::Way;
use portcullis_aws::client::Client;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::breaker::Standing;
use portcullis_core::denial::{Denial, RatePeriod};
use portcullis_core::gate::Gate;
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::guard;
use portcullis_service::knowledge::{Knowledge, Preparation, UnknownKey};
use portcullis_service::snapshot::Keys;
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
    knowledge: Knowledge,
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
            knowledge: Knowledge::default(),
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
        match self.knowledge.lacks_key(&world, now) {
            UnknownKey::IsNone => return Err(unknown),
            UnknownKey::IsOpen => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => {}
        }
        self.refresh(Keys::Now, now).await;
        let world = self.knowledge.held().ok_or(Denial::StaleSnapshot)?;
        self.judge(need, token, &world).await
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
        let store_is_away = self.client.state(Way::DynamoDb).0 != Standing::Closed;
        let prepared = self
            .knowledge
            .prepare(self.gate.policy(), store_is_away, now);
        match prepared {
            Preparation::Nothing => {}
            Preparation::ReadBehind => {
                let isolate = Rc::clone(self);
                context.wait_until(async move { isolate.refresh(Keys::WhenDue, now).await });
            }
            Preparation::ReadFirst => self.refresh(Keys::WhenDue, now).await,
        }
        self.knowledge.held()
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let store = DynamoStore::at(&self.client, began_at);
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read = self
            .knowledge
            .refresh(policy, keys, began_at, &store, shelf, &PlatformClock);
        if let Err(error) = read.await {
            report("the world could not be read whole", &error);
        }
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
