//! A call to the API, with the state that its handler needs.
//!
//! A handler takes an [`ApiCall`], parses the body, opens the call, and runs use cases through
//! [`OpenCall::run`]. That wrapper records whether the store answered, and rejects the outcome if
//! the clock became unreadable meanwhile.

use core::future::Future;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::HeaderMap;
use http::request::Parts;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::denial::Denial;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::limit::device::{self, DEVICE_LIFETIME};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::refresh::Delivery;
use portcullis_core::registration::{self, REGISTRATION_LIFETIME, RegisteredHere};
use portcullis_core::root_keys::RootKeys;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_host::clock::RequestClock;
use portcullis_host::error_chain::ErrorChain;
use portcullis_host::failure::HostFailure;
use portcullis_host::hasher::PoolHasher;
use portcullis_host::host::Host;
use portcullis_host::random::SystemRandom;
use portcullis_host::transport::HyperTransport;
use portcullis_jwt::{NativeVerifier, SigningKey};
use portcullis_service::authenticate::{
    Authentication, authenticate, authenticate_expired, authenticate_token,
};
use portcullis_service::context::ServiceContext;
use portcullis_service::error::UseCaseError;
use portcullis_service::limit::{self, LimitKey, LimitOutcome, Limited, Reservation};
use portcullis_service::open_session::GrantTerms;
use portcullis_service::ports::RequestMeta;
use portcullis_service::settings::Audience;
use tracing::warn;

use crate::api_error::ApiError;
use crate::cookies;
use crate::problem::{Problem, TokenProblem};
use crate::routes::caller;
use crate::routes::request_body::Optional;

/// The cookie that identifies a browser that has logged in before.
const DEVICE_COOKIE: &str = "__Host-portcullis-device";

/// The cookie that identifies the browser that sent a registration.
const REGISTRATION_COOKIE: &str = "__Host-portcullis-registration";

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

    /// Authenticates the bearer token against the current store.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(super) async fn authenticate(&self) -> Result<Authentication, ApiError> {
        let host = self.host();
        let authorization = caller::authorization(&self.headers);
        let store = host.store(self.meta.now);
        let caller = authenticate(
            &host.gate,
            authorization.as_deref(),
            &store,
            &NativeVerifier,
            self.meta.now,
        );
        Ok(host.track(caller.await)?)
    }

    /// The bearer of an expired access token, for a logout only.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(super) async fn authenticate_expired(
        &self,
    ) -> Result<Option<Box<Verified<Claims>>>, ApiError> {
        let (host, now) = (self.host(), self.meta.now);
        let authorization = caller::authorization(&self.headers);
        let (authorization, store) = (authorization.as_deref(), host.store(now));
        let caller = authenticate_expired(&host.gate, authorization, &store, &NativeVerifier, now);
        Ok(host.track(caller.await)?)
    }

    /// Authenticates the access token `token` of a request body, as [`ApiCall::authenticate`] does.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(super) async fn authenticate_token(
        &self,
        token: &Secret<String>,
    ) -> Result<Authentication, ApiError> {
        let (host, now) = (self.host(), self.meta.now);
        let store = host.store(now);
        let caller = authenticate_token(&host.gate, token.expose(), &store, &NativeVerifier, now);
        Ok(host.track(caller.await)?)
    }

    /// As [`ApiCall::authenticate`], for the account endpoints.
    // SECURITY: an API that receives a user's token must not be able to change the account with it.
    pub(super) async fn authenticate_for_account(&self) -> Result<Authentication, ApiError> {
        let account = &self.host().settings.issuing.account_audience;
        Ok(match self.authenticate().await? {
            Authentication::Known(caller)
            | Authentication::Revoked(caller)
            | Authentication::SubjectRevoked(caller)
                if !caller.get().audience.contains(account) =>
            {
                Authentication::Refused(Denial::WrongAudience)
            }
            caller @ (Authentication::Known(_)
            | Authentication::Revoked(_)
            | Authentication::SubjectRevoked(_)
            | Authentication::Refused(_)) => caller,
        })
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

    /// The bearer of a valid token for the account endpoints.
    ///
    /// # Errors
    ///
    /// The [`Problem`] of the token.
    pub(super) async fn bearer(&self) -> Result<Box<Verified<Claims>>, ApiError> {
        match self.authenticate_for_account().await? {
            Authentication::Known(caller) => Ok(caller),
            Authentication::Revoked(_) | Authentication::SubjectRevoked(_) => {
                Err(Problem::Denied(Denial::Revoked).into())
            }
            Authentication::Refused(denial) => Err(Problem::Denied(denial).into()),
        }
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

    /// Counts an attempt in each of `buckets`.
    ///
    /// # Errors
    ///
    /// [`Problem::RateLimited`] or a lock if one bucket has too many; the failure if the store cannot count.
    pub(super) async fn acquire(
        &self,
        buckets: &[(LimitKind, LimitKey<'_>)],
    ) -> Result<(), ApiError> {
        for (kind, key) in buckets {
            let _reservation = self.acquire_refundable(*kind, *key).await?;
        }
        Ok(())
    }

    /// Counts an attempt that [`OpenCall::refund`] takes back once it has succeeded.
    ///
    /// # Errors
    ///
    /// As [`OpenCall::acquire`].
    pub(super) async fn acquire_refundable(
        &self,
        kind: LimitKind,
        key: LimitKey<'_>,
    ) -> Result<Reservation, ApiError> {
        self.reserve(limit::acquire(kind, key, self.ctx())).await
    }

    /// Counts a login, by its browser or by network and address.
    ///
    /// # Errors
    ///
    /// As [`OpenCall::acquire`].
    pub(super) async fn acquire_login(
        &self,
        email: &EmailAddress,
    ) -> Result<Reservation, ApiError> {
        let device = cookies::value(&self.call.headers, DEVICE_COOKIE);
        self.reserve(limit::acquire_login(email, device, self.ctx()))
            .await
    }

    async fn reserve(
        &self,
        attempt: impl Future<Output = Result<LimitOutcome, UseCaseError>>,
    ) -> Result<Reservation, ApiError> {
        match self.run(attempt).await? {
            LimitOutcome::Allowed(reservation) => {
                warn_if_uncounted(&reservation);
                Ok(reservation)
            }
            LimitOutcome::Limited(limited) => Err(Problem::from(limited).into()),
        }
    }

    /// Takes a successful attempt out of its bucket. If that fails, the attempt stays counted until its window ends.
    pub(super) async fn refund(&self, reservation: &Reservation) {
        if let Err(error) = limit::refund(reservation, self.ctx()).await {
            warn!(error = %ErrorChain(&error), "a successful attempt was not refunded");
        }
    }

    /// Sets the device cookie of a browser that has just logged in to `email`, or proved it, while
    /// the account has this `generation`.
    ///
    /// # Errors
    ///
    /// [`Problem::Internal`] if the platform has no random bytes.
    pub(super) fn remember_browser(
        &self,
        headers: &mut HeaderMap,
        email: &EmailAddress,
        generation: u64,
    ) -> Result<(), ApiError> {
        let presented = cookies::value(&self.call.headers, DEVICE_COOKIE);
        if let Some(cookie) = limit::device_cookie(email, generation, presented, self.ctx())? {
            cookies::set(headers, DEVICE_COOKIE, &cookie, Some(DEVICE_LIFETIME));
        }
        Ok(())
    }

    /// The generation in the device cookie of this browser for `email`, if it has a valid one.
    pub(super) fn known_generation(&self, email: &EmailAddress) -> Option<u64> {
        let cookie = cookies::value(&self.call.headers, DEVICE_COOKIE)?;
        let browser = device::recognise(self.root_keys, cookie, email, self.call.meta.now)?;
        Some(browser.generation)
    }

    /// Sets the cookie of a browser that has just sent the registration with the answer `user_id`.
    pub(super) fn mark_registration(&self, headers: &mut HeaderMap, user_id: &Id) {
        let cookie = registration::issue(self.root_keys, user_id, self.call.meta.now);
        let lifetime = Some(REGISTRATION_LIFETIME);
        cookies::set(headers, REGISTRATION_COOKIE, &cookie, lifetime);
    }

    /// The registration that this browser sent, by its cookie.
    pub(super) fn registered_here(&self) -> Option<RegisteredHere> {
        let cookie = cookies::value(&self.call.headers, REGISTRATION_COOKIE)?;
        registration::recognise(self.root_keys, cookie, self.call.meta.now)
    }
}

/// Logs why an attempt passed uncounted.
pub(super) fn warn_if_uncounted(reservation: &Reservation) {
    if let Some(error) = &reservation.uncounted {
        warn!(error = %ErrorChain(error), "an attempt passed uncounted");
    }
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::RetryAfter(span) => Self::RateLimited {
                // At least one second: a `Retry-After` of zero would be no wait.
                seconds: span.as_secs().max(1),
            },
            Limited::LockedOut(LimitKind::FactorAccount) => Self::FactorLocked,
            Limited::LockedOut(_) => Self::LoginLocked,
        }
    }
}
