//! The published keys of the edge, cached.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::time::UnixTime;

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
    /// Held during a fetch. SECURITY: never together with `state`, so that a slow fetch, which anyone
    /// can cause, does not delay a request with a known key.
    fetching: tokio::sync::Mutex<()>,
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
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The key `id`. An unknown one causes one fetch, for which concurrent requests with unknown keys
    /// wait. Of the requests with a known key whose set is old, one fetches, and the others go on.
    pub(crate) async fn find(&self, id: &str, now: UnixTime) -> Option<VerifyingKey> {
        let (known, is_fresh) = self.cached(id, now);
        if known.is_some() && is_fresh {
            return known;
        }
        let _turn = match &known {
            None => self.fetching.lock().await,
            Some(_) => match self.fetching.try_lock() {
                Ok(turn) => turn,
                Err(_fetched_by_another) => return known,
            },
        };
        // An earlier request may have fetched while this one waited for its turn.
        let (known, is_fresh) = self.cached(id, now);
        if known.is_some() && is_fresh || !self.may_fetch(now) {
            return known;
        }
        let fetched = self.source.fetch().await.ok();
        if let Some(keys) = fetched.and_then(|text| JwkSet::parse(text.as_bytes()).ok()) {
            let mut state = self.state();
            state.keys = keys;
            state.fetched_at = now;
        }
        self.cached(id, now).0
    }

    /// The key `id`, unless the set is too old, and whether the set is fresh.
    fn cached(&self, id: &str, now: UnixTime) -> (Option<VerifyingKey>, bool) {
        let state = self.state();
        let age = now.since(state.fetched_at);
        let known = state.keys.find(Some(id)).filter(|_| age < MAX_STALE);
        (known.cloned(), age < MAX_AGE)
    }

    /// Whether the last fetch is long enough ago; notes a fetch now.
    fn may_fetch(&self, now: UnixTime) -> bool {
        let mut state = self.state();
        let last = state.tried_at;
        let may = last.is_none_or(|tried| now.since(tried) >= COOL_DOWN);
        if may {
            state.tried_at = Some(now);
        }
        may
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// The public key of RFC 8037, appendix A.2.
    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// A source whose first fetch is fast, and whose later ones wait for a signal and fail.
    #[derive(Clone, Default)]
    struct Slow {
        fetches: Arc<AtomicUsize>,
        signal: Arc<Notify>,
    }

    impl KeySource for Slow {
        fn fetch(&self) -> Fetching<'_> {
            Box::pin(async {
                if self.fetches.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Ok(KEYS.to_owned());
                }
                self.signal.notified().await;
                Err("slow".into())
            })
        }
    }

    #[tokio::test]
    async fn denial_of_service_a_slow_fetch_for_an_unknown_kid_does_not_delay_known_keys() {
        let source = Slow::default();
        let keys = Arc::new(CachedKeys::new(Box::new(source.clone())));
        let at = |seconds: u64| UnixTime::from_secs(1_800_000_000 + seconds);
        assert!(keys.find("a", at(0)).await.is_some());
        let attacker = Arc::clone(&keys);
        let stranger = tokio::spawn(async move { attacker.find("z", at(20)).await.is_some() });
        while source.fetches.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        // Fresh, due for a refresh, and at the last second of its use: none waits for the fetch.
        for seconds in [21, 400, 3_599] {
            assert!(keys.find("a", at(seconds)).await.is_some(), "{seconds}");
        }
        source.signal.notify_one();
        assert!(!stranger.await.expect("no panic"));
        // The failed fetch leaves the key, and the cool-down prevents another one.
        assert!(keys.find("z", at(29)).await.is_none());
        assert!(keys.find("a", at(29)).await.is_some());
        assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        source.signal.notify_one();
        assert!(keys.find("a", at(3_600)).await.is_none());
    }
}
