//! A host: the use cases of `portcullis-service`. Each call is a task that may end at any point.

mod keys;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_core::csrf::TokenSource;
use portcullis_core::email::EmailAddress;
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::refresh::Delivery;
use portcullis_core::root_keys::RootKeys;
use portcullis_core::secret::Secret;
use portcullis_core::session::Device;
use portcullis_core::time::UnixTime;
use portcullis_service::authenticate::{Authentication, authenticate};
use portcullis_service::context::ServiceContext;
use portcullis_service::error::UseCaseError;
use portcullis_service::limit::{LimitOutcome, acquire_login, device_cookie, refund};
use portcullis_service::login::{LoginOutcome, LoginRequest, login};
use portcullis_service::logout::{LogoutOutcome, logout, logout_revoked};
use portcullis_service::logout_all::{LogoutAllOutcome, announce_again, logout_all};
use portcullis_service::open_session::GrantTerms;
use portcullis_service::open_session::TokenGrant;
use portcullis_service::ports::{Clock, RequestMeta};
use portcullis_service::refresh::{RefreshOutcome, RefreshRequest, refresh};
use portcullis_service::settings::Settings;
use portcullis_service::signing::jwks_cache::JwksCache;
use portcullis_service::signing::{SigningError, SigningKeys};
use portcullis_service::store::StoreError;

use self::keys::{Keyless, SimSigning};
use crate::bounds::HOST_CACHE;
use crate::clock::SimClock;
use crate::crypto::{SimHasher, SimKey, SimSignatures};
use crate::mutation::Mutation;
use crate::plan::SimDependency;
use crate::settings::policy;
use crate::settings::settings;
use crate::store::View;
use crate::world::SimWorld;

/// The credentials of a login.
#[derive(Clone, Debug)]
pub(crate) struct LoginAttempt {
    pub(crate) email: EmailAddress,
    pub(crate) password: Secret<String>,
    /// The cookie of a browser that has logged in before.
    pub(crate) cookie: Option<String>,
    /// The network address of the client.
    pub(crate) address: String,
}

/// A user's request to a host.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Login(LoginAttempt),
    Refresh(String),
    Logout(String),
    LogoutAll(String),
}

/// A host's response.
#[derive(Clone, Debug)]
pub(crate) enum HostReply {
    /// The two tokens, and the browser's new cookie.
    Granted(String, String, Option<String>),
    Done,
    /// A denial, temporary or final, with its error code.
    Refused(&'static str),
    /// 503: nothing may be concluded.
    Failed,
    /// Also 503: the document lets no key sign.
    NoKey,
}

pub(crate) struct SimHost {
    pub(crate) name: String,
    pub(crate) clock: SimClock,
    world: Rc<SimWorld>,
    gate: Gate,
    root_keys: RootKeys,
    settings: Settings,
    process: RefCell<Rc<Process>>,
}

/// The state that is lost with a process.
struct Process {
    store: View,
    secrets: View,
    keys: SigningKeys<SimKey>,
    published: JwksCache,
    started_at: u64,
}

impl Process {
    fn new(world: &Rc<SimWorld>, name: &str) -> Rc<Self> {
        Rc::new(Self {
            store: View::new(world, name, SimDependency::Store),
            secrets: View::new(world, name, SimDependency::Secrets),
            keys: SigningKeys::new(world.plan.lifetime, HOST_CACHE),
            published: JwksCache::new(HOST_CACHE),
            started_at: world.now(),
        })
    }
}

/// The host's clock, as use cases read it after their writes.
struct HostClock<'a> {
    host: &'a SimHost,
    began: UnixTime,
}

impl Clock for HostClock<'_> {
    fn now(&self) -> UnixTime {
        if self.host.world.mutation == Some(Mutation::AcknowledgeLate) {
            self.began
        } else {
            self.host.clock.now()
        }
    }
}

impl SimHost {
    pub(crate) fn new(world: &Rc<SimWorld>, name: String) -> Rc<Self> {
        Rc::new(Self {
            clock: SimClock::new(world, &name),
            process: RefCell::new(Process::new(world, &name)),
            name,
            world: Rc::clone(world),
            gate: Gate::new(policy(world.plan.lifetime, None)),
            root_keys: root_keys(),
            settings: settings(world.plan.lifetime, world.mutation),
        })
    }

    /// Its process takes no more requests, and the next request gets a new one.
    pub(crate) fn restart(&self) {
        self.world.tell(|| format!("{} restarts", self.name));
        self.process.replace(Process::new(&self.world, &self.name));
    }

    /// Handles a request; the caller sees a crash. The identifier of the request marks its writes.
    pub(crate) async fn answer(self: Rc<Self>, ask: Ask, request_id: Id) -> HostReply {
        let client_address = match &ask {
            Ask::Login(credentials) => credentials.address.clone(),
            Ask::Refresh(_) | Ask::Logout(_) | Ask::LogoutAll(_) => String::new(),
        };
        let call = RequestMeta {
            now: self.clock.now(),
            request_id,
            client_address,
        };
        let age = self.world.now() - self.process.borrow().started_at;
        if self.world.mutation == Some(Mutation::RestAfterStart) && age < 10_000 {
            return HostReply::Failed;
        }
        match self.serve(ask, &call).await {
            Ok(reply) => reply,
            Err(_) => HostReply::Failed,
        }
    }

    async fn serve(&self, ask: Ask, call: &RequestMeta) -> Result<HostReply, UseCaseError> {
        let watch = HostClock {
            host: self,
            began: call.now,
        };
        let process = Rc::clone(&self.process.borrow());
        let store = &process.store;
        let ctx = ServiceContext {
            store,
            random: &*self.world,
            root_keys: &self.root_keys,
            settings: &self.settings,
            call,
        };
        match ask {
            Ask::Login(credentials) => self.log_in(credentials, &process, ctx).await,
            Ask::Refresh(token) => {
                let Some(key) = self.signer(&process, call).await? else {
                    return Ok(HostReply::NoKey);
                };
                let request = RefreshRequest {
                    token: Secret::new(token),
                    carrier: TokenSource::Explicit,
                    audience: self.settings.issuing.account(),
                };
                Ok(match refresh(&request, &*key, &watch, ctx).await? {
                    RefreshOutcome::Renew(grant) => granted(&grant, None),
                    RefreshOutcome::Refuse(_) => HostReply::Refused("refresh"),
                    RefreshOutcome::Reused => HostReply::Refused("reused"),
                })
            }
            Ask::Logout(token) => match self.caller(&token, store, call).await? {
                Authentication::Known(caller) => done(logout(&caller, &watch, ctx).await?),
                Authentication::Revoked(caller) => {
                    done(logout_revoked(&caller, &watch, ctx).await?)
                }
                Authentication::SubjectRevoked(_) => Ok(HostReply::Refused("revoked")),
                Authentication::Refused(denial) => Ok(HostReply::Refused(denial.code())),
            },
            Ask::LogoutAll(token) => match self.caller(&token, store, call).await? {
                Authentication::Known(caller) => {
                    Ok(match logout_all(&caller, &watch, ctx).await? {
                        LogoutAllOutcome::Done { .. } => HostReply::Done,
                        LogoutAllOutcome::NoSession => HostReply::Refused("no_session"),
                    })
                }
                Authentication::Revoked(_) => Ok(HostReply::Refused("revoked")),
                Authentication::SubjectRevoked(caller) => {
                    done(announce_again(&caller, &watch, ctx).await?)
                }
                Authentication::Refused(denial) => Ok(HostReply::Refused(denial.code())),
            },
        }
    }

    /// As the adapter does: nothing is counted while no key signs, and a successful login is
    /// refunded.
    async fn log_in(
        &self,
        credentials: LoginAttempt,
        process: &Process,
        ctx: ServiceContext<'_, View, SimWorld>,
    ) -> Result<HostReply, UseCaseError> {
        let arrived = self.world.now();
        let Some(key) = self.signer(process, ctx.call).await? else {
            return Ok(HostReply::NoKey);
        };
        let LoginAttempt { email, cookie, .. } = credentials;
        let entry = acquire_login(&email, cookie.as_deref(), ctx).await?;
        let LimitOutcome::Allowed(place) = entry else {
            return Ok(HostReply::Refused("too_many_attempts"));
        };
        // Every cookie here was issued by a host.
        let bucket = cookie.clone().unwrap_or_else(|| email.as_str().to_owned());
        self.world.oracle.borrow_mut().passes(&bucket, arrived);
        let request = LoginRequest {
            email,
            password: Password::parse(&credentials.password).expect("long enough"),
            device: Device::default(),
            terms: GrantTerms {
                audience: self.settings.issuing.account(),
                delivery: Delivery::Body,
            },
            known_generation: place.known_generation,
        };
        match login(&request, &SimHasher, &*key, ctx).await? {
            LoginOutcome::Admit(admission) => {
                self.world.oracle.borrow_mut().gives_back(&bucket, arrived);
                // If the refund fails, the attempt still counts, and the login succeeds.
                drop(refund(&place, ctx).await);
                if let Some(recounted) = &admission.recounted {
                    drop(refund(recounted, ctx).await);
                }
                let generation = admission.generation;
                let new = device_cookie(&request.email, generation, cookie.as_deref(), ctx)?;
                Ok(granted(&admission.grant, new.or(cookie)))
            }
            LoginOutcome::Challenge(_) => Ok(HostReply::Refused("second_factor")),
            LoginOutcome::Limited(_) => Ok(HostReply::Refused("too_many_attempts")),
            LoginOutcome::Refuse(_) => {
                if self.world.mutation == Some(Mutation::RefundRefused) {
                    drop(refund(&place, ctx).await);
                }
                Ok(HostReply::Refused("bad_credentials"))
            }
        }
    }

    /// The key that signs, if one does.
    async fn signer(
        &self,
        process: &Process,
        call: &RequestMeta,
    ) -> Result<Option<Arc<SimKey>>, StoreError> {
        let ports = SimSigning {
            world: &self.world,
            host: &self.name,
            root_keys: &self.root_keys,
            settings: &self.settings,
            secrets: &process.secrets,
            store: &process.store,
            call: RequestMeta {
                client_address: "host".to_owned(),
                ..call.clone()
            },
        };
        let Process {
            keys, published, ..
        } = process;
        match keys.ready(published, &ports, call.now).await {
            Ok(key) => Ok(Some(key)),
            Err(
                SigningError::Document(error)
                | SigningError::Publication(error)
                | SigningError::Port(Keyless::Secret(error)),
            ) => Err(error),
            Err(error) => {
                self.world.tell(|| format!("{}: {error}", self.name));
                Ok(None)
            }
        }
    }

    async fn caller(
        &self,
        token: &str,
        store: &View,
        call: &RequestMeta,
    ) -> Result<Authentication, StoreError> {
        let header = format!("Bearer {token}");
        authenticate(&self.gate, Some(&header), store, &SimSignatures, call.now).await
    }
}

/// The root keys that all hosts share.
pub(crate) fn root_keys() -> RootKeys {
    let document = RootKeys::document(&Secret::new([7; 32]));
    RootKeys::parse(document.expose().as_bytes()).expect("valid root keys")
}

fn granted(grant: &TokenGrant, cookie: Option<String>) -> HostReply {
    let access = grant.access.token.expose().clone();
    HostReply::Granted(access, grant.refresh.expose().clone(), cookie)
}

fn done(outcome: LogoutOutcome) -> Result<HostReply, UseCaseError> {
    Ok(match outcome {
        LogoutOutcome::Done => HostReply::Done,
        LogoutOutcome::NoSession => HostReply::Refused("no_session"),
    })
}
