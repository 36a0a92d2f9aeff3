//! A call to the API, with the state that its handler needs.
//!
//! A handler takes an [`ApiCall`], parses the body, opens the call, and runs use cases through
//! [`OpenCall::run`]. That wrapper records whether the store answered, and rejects the outcome if
//! the clock became unreadable meanwhile.

mod authentication;
mod browser;
pub(super) mod limits;

use core::future::Future;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::HeaderMap;
use http::request::Parts;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::refresh::Delivery;
use portcullis_core::root_keys::RootKeys;
use portcullis_host::clock::RequestClock;
use portcullis_host::failure::HostFailure;
use portcullis_host::hasher::PoolHasher;
use portcullis_host::host::Host;
use portcullis_host::random::SystemRandom;
use portcullis_host::transport::HyperTransport;
use portcullis_jwt::SigningKey;
use portcullis_service::context::ServiceContext;
use portcullis_service::open_session::GrantTerms;
use portcullis_service::ports::RequestMeta;
use portcullis_service::settings::Audience;

use crate::api_error::ApiError;
use crate::problem::{Problem, TokenProblem};
use crate::routes::request_body::Optional;

/// The store as handlers access it.
pub(super) type Store<'a> = DynamoStore<'a, HyperTransport>;

/// One request, before anything is read for it.
#[derive(Debug)]
pub(super) struct ApiCall {
    host: Arc<Host>,
    meta: RequestMeta,
    headers: HeaderMap,
}

/// One request with the store, the root keys and the clock that its use cases work with.
#[derive(Debug)]
pub(super) struct OpenCall<'a> {
    call: &'a ApiCall,
    store: Store<'a>,
    root_keys: &'a RootKeys,
    clock: RequestClock<'a>,
}

impl FromRequestParts<Arc<Host>> for ApiCall {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, host: &Arc<Host>) -> Result<Self, ApiError> {
        // The HTTP service sets it before it routes a request.
        let meta = parts.extensions.get::<RequestMeta>();
        Ok(Self {
            host: Arc::clone(host),
            meta: meta.cloned().ok_or(Problem::Internal)?,
            headers: parts.headers.clone(),
        })
    }
}

impl ApiCall {
    /// The host that serves the call.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// The headers of the request.
    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The time and the identifiers of the request.
    pub(super) const fn meta(&self) -> &RequestMeta {
        &self.meta
    }

    /// Opens the store and the root keys.
    ///
    /// # Errors
    ///
    /// [`Problem::KeyUnavailable`] if the root keys cannot be read.
    pub(super) async fn open(&self) -> Result<OpenCall<'_>, ApiError> {
        let host = self.host();
        let root_keys = host.root_keys.open(&host.client, self.meta.now).await;
        Ok(OpenCall {
            call: self,
            store: host.store(self.meta.now),
            root_keys: host.track(root_keys)?,
            clock: RequestClock::new(&*host.clock, self.meta.now),
        })
    }

    /// The key that signs now.
    ///
    /// # Errors
    ///
    /// [`Problem::KeyUnavailable`] or [`Problem::StoreUnavailable`].
    pub(super) async fn signer(&self) -> Result<Arc<SigningKey>, ApiError> {
        let host = self.host();
        let signer = host.signer(self.meta.now, &self.meta.request_id).await;
        Ok(host.track(signer)?)
    }

    /// The terms of new tokens: the resource that the client names, and the place of the refresh
    /// token.
    ///
    /// # Errors
    ///
    /// [`TokenProblem::InvalidTarget`].
    pub(super) fn terms(
        &self,
        resource: Optional,
        delivery: Delivery,
    ) -> Result<GrantTerms, Problem> {
        let audience = self.audience(resource)?;
        Ok(GrantTerms { audience, delivery })
    }

    /// The audience of the resource that the client names.
    ///
    /// # Errors
    ///
    /// [`TokenProblem::InvalidTarget`].
    pub(super) fn audience(&self, resource: Optional) -> Result<Audience, Problem> {
        let named = resource.text()?;
        let named = named.as_ref().map(|named| named.expose().as_str());
        let audience = self.host().settings.issuing.audience_of(named);
        audience.ok_or(Problem::Token(TokenProblem::InvalidTarget))
    }
}

impl<'a> OpenCall<'a> {
    /// The context of the use cases.
    pub(super) fn ctx(&self) -> ServiceContext<'_, Store<'a>, SystemRandom> {
        ServiceContext {
            store: &self.store,
            random: &self.call.host.random,
            root_keys: self.root_keys,
            settings: &self.call.host.settings,
            call: &self.call.meta,
        }
    }

    /// The host that serves the call.
    pub(super) fn host(&self) -> &Host {
        self.call.host()
    }

    /// The clock over this request. [`OpenCall::run`] checks it.
    pub(super) const fn clock(&self) -> &RequestClock<'a> {
        &self.clock
    }

    /// The root keys of the host.
    pub(super) const fn root_keys(&self) -> &'a RootKeys {
        self.root_keys
    }

    /// The password hasher, with the peppers of the root keys.
    pub(super) fn hasher(&self) -> PoolHasher<'a> {
        let address = &self.call.meta.client_address;
        self.call.host().hasher.with(self.root_keys, address)
    }

    /// Runs a use case.
    ///
    /// # Errors
    ///
    /// The failure of the use case; [`Problem::Internal`] if the clock became unreadable while it ran, because the
    /// duration of its writes is unknown then.
    pub(super) async fn run<T, E: Into<HostFailure>>(
        &self,
        use_case: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError> {
        let outcome = self.call.host.track(use_case.await)?;
        self.clock.ensure_readable()?;
        Ok(outcome)
    }
}
