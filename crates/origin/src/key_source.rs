//! The published keys of the edge, cached.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::time::UnixTime;
use tokio::sync::Mutex;

/// The age at which the keys are fetched again: the `max-age` of the edge's response.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The age beyond which keys that cannot be fetched again are not used.
const MAX_STALE: Duration = Duration::from_secs(3_600);

/// The minimum time between two fetches.
///
/// SECURITY: an assertion with an unknown `kid` needs no valid signature, so anyone can cause a
/// fetch.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// The keys could not be fetched. The layer rejects requests with an unknown key.
pub type FetchError = Box<dyn core::error::Error + Send + Sync>;

/// The future of [`KeySource::fetch`].
type Fetching<'s> = Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + 's>>;

/// Fetches the JWK Set of the edge from `/.well-known/portcullis-assertion-keys`, with the
/// application's own HTTP client. It must use https and a timeout.
pub trait KeySource: Send + Sync + 'static {
    /// The body of the response.
    fn fetch(&self) -> Fetching<'_>;
}

/// A source with its last keys.
pub(crate) struct CachedKeys {
    source: Box<dyn KeySource>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: JwkSet,
    fetched_at: UnixTime,
    tried_at: Option<UnixTime>,
}

impl CachedKeys {
    pub(crate) fn new(source: Box<dyn KeySource>) -> Self {
        Self {
            source,
            state: Mutex::default(),
        }
    }

    /// The key `id`. An unknown one causes one fetch, for which concurrent requests wait.
    pub(crate) async fn find(&self, id: &str, now: UnixTime) -> Option<VerifyingKey> {
        let mut state = self.state.lock().await;
        let known = state.keys.find(Some(id)).is_some();
        let fresh = known && now.since(state.fetched_at) < MAX_AGE;
        let cool = state
            .tried_at
            .is_some_and(|tried| now.since(tried) < COOL_DOWN);
        if !fresh && !cool {
            state.tried_at = Some(now);
            let fetched = self.source.fetch().await.ok();
            if let Some(keys) = fetched.and_then(|text| JwkSet::parse(text.as_bytes()).ok()) {
                state.keys = keys;
                state.fetched_at = now;
            }
        }
        if now.since(state.fetched_at) >= MAX_STALE {
            return None;
        }
        state.keys.find(Some(id)).cloned()
    }
}
