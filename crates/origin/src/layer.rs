//! The layer and its settings.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};
use portcullis_core::assertion::is_edge_secret;
use portcullis_core::assertion::verification::{DEFAULT_LEEWAY, MAX_LEEWAY, ProofError};
use portcullis_core::forwarding::{DEFAULT_IDENTITY_PREFIX, HeaderRules};
use portcullis_core::keys::jwk::{KeyMaterial, VerifyingKey};
use portcullis_core::keys::set::JwkSet;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use tower_layer::Layer;
use tower_service::Service;

use crate::key_source::{CachedKeys, KeySource};
use crate::proof::check;
use crate::rejection::rejection;
use crate::settings::{Expected, SettingError, Settings, is_public_key};

/// The layer: accepts only requests with the proof of the edge, and rejects the others with 403
/// `no_edge_proof`.
#[derive(Clone)]
pub struct EdgeProof(Settings);

impl EdgeProof {
    /// Expects one of `secrets` in `x-portcullis-edge-secret`; a rotation needs two. The identity
    /// is that of the edge's identity headers.
    ///
    /// # Errors
    ///
    /// [`SettingError::Secrets`].
    pub fn secret<S: Into<String>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SettingError> {
        Ok(Self::new("", Expected::Secret(checked(secrets)?)))
    }

    /// Expects an assertion for `audience`, `PORTCULLIS_ORIGIN` of the edge, with an HMAC under one
    /// of `secrets`; a rotation needs two.
    ///
    /// # Errors
    ///
    /// [`SettingError::Secrets`].
    pub fn shared_key<S: Into<String>>(
        audience: &str,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SettingError> {
        let key = |secret: Secret<String>| {
            let octets = Secret::new(secret.expose().as_bytes().to_vec());
            VerifyingKey::new(KeyMaterial::Hmac(octets), Algorithm::Hs256)
        };
        let keys: Result<_, _> = checked(secrets)?.into_iter().map(key).collect();
        let keys = keys.map_err(|_| SettingError::Secrets)?;
        Ok(Self::new(audience, Expected::SharedKeys(keys)))
    }

    /// Expects an assertion for `audience` with a signature of a key in the JWK Set `keys`.
    ///
    /// # Errors
    ///
    /// [`SettingError::Keys`].
    pub fn keys(audience: &str, keys: &str) -> Result<Self, SettingError> {
        let keys = JwkSet::parse(keys.as_bytes()).map_err(|_| SettingError::Keys)?;
        let usable = |key: &VerifyingKey| is_public_key(key) && key.id().is_some();
        if keys.keys().is_empty() || !keys.keys().iter().all(usable) {
            return Err(SettingError::Keys);
        }
        Ok(Self::new(audience, Expected::Keys(keys)))
    }

    /// Expects an assertion for `audience` with a signature of a key that the edge publishes.
    pub fn published_keys(audience: &str, source: impl KeySource) -> Self {
        let source = CachedKeys::new(Box::new(source));
        Self::new(audience, Expected::Published(source))
    }

    fn new(audience: &str, expected: Expected) -> Self {
        Self(Settings {
            expected: Arc::new(expected),
            audience: audience.trim_end_matches('/').to_owned(),
            hosts: None,
            leeway: DEFAULT_LEEWAY,
            prefix: DEFAULT_IDENTITY_PREFIX.to_owned(),
            on_rejection: Arc::new(|_| ()),
            clock: system_time,
        })
    }

    /// Accepts only these public hosts, each with its port if it is not the default one.
    #[must_use]
    pub fn with_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.0.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts this difference between the clocks of edge and origin; the default is
    /// [`DEFAULT_LEEWAY`].
    ///
    /// # Errors
    ///
    /// [`SettingError::Leeway`] beyond [`MAX_LEEWAY`].
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, SettingError> {
        if leeway > MAX_LEEWAY {
            return Err(SettingError::Leeway);
        }
        self.0.leeway = leeway;
        Ok(self)
    }

    /// Takes `prefix` as the prefix of the identity headers: the policy's `identity_prefix`.
    ///
    /// # Errors
    ///
    /// [`SettingError::Prefix`].
    pub fn with_identity_prefix(mut self, prefix: &str) -> Result<Self, SettingError> {
        HeaderRules::new(prefix, Vec::new(), Vec::new()).ok_or(SettingError::Prefix)?;
        prefix.clone_into(&mut self.0.prefix);
        Ok(self)
    }

    /// Calls `report` with the reason of each rejection, for the log. The client never gets it.
    #[must_use]
    pub fn on_rejection(mut self, report: impl Fn(ProofError) + Send + Sync + 'static) -> Self {
        self.0.on_rejection = Arc::new(report);
        self
    }

    /// Reads the time from `clock`, for tests.
    #[must_use]
    pub const fn with_clock(mut self, clock: fn() -> UnixTime) -> Self {
        self.0.clock = clock;
        self
    }
}

/// SECURITY: prints no secret.
impl fmt::Debug for EdgeProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeProof")
            .field("audience", &self.0.audience)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for EdgeProof {
    type Service = EdgeProofService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EdgeProofService {
            settings: Arc::new(self.0.clone()),
            inner,
        }
    }
}

/// The service behind [`EdgeProof`].
#[derive(Clone)]
pub struct EdgeProofService<S> {
    settings: Arc<Settings>,
    inner: S,
}

impl<S: fmt::Debug> fmt::Debug for EdgeProofService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeProofService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for EdgeProofService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<&'static str>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone is not ready yet; the service that is ready takes the request.
        let next = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, next);
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match check(&settings, &mut parts, (settings.clock)()).await {
                Ok(()) => inner.call(Request::from_parts(parts, body)).await,
                Err(reason) => {
                    (settings.on_rejection)(reason);
                    Ok(rejection())
                }
            }
        })
    }
}

fn checked<S: Into<String>>(
    secrets: impl IntoIterator<Item = S>,
) -> Result<Vec<Secret<String>>, SettingError> {
    let secrets: Vec<_> = secrets
        .into_iter()
        .map(|secret| Secret::new(secret.into()))
        .collect();
    let valid = |secret: &Secret<String>| is_edge_secret(secret.expose());
    if (1..=2).contains(&secrets.len()) && secrets.iter().all(valid) {
        Ok(secrets)
    } else {
        Err(SettingError::Secrets)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the layer is an entry point: the time enters here"
)]
fn system_time() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_secs(since.unwrap_or_default().as_secs())
}
