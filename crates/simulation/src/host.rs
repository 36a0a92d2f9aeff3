//! A host: the use cases of `portcullis-service`, each call a task that may end anywhere.

mod keys;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::csrf::Carrier;
use portcullis_core::email::EmailAddress;
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::limit::scope::Scope;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_core::session::Device;
use portcullis_core::time::UnixTime;
use portcullis_core::vault::Vault;
use portcullis_service::authenticate::{Caller, authenticate};
use portcullis_service::error::ServiceError;
use portcullis_service::limit::{Entry, Whose, enter};
use portcullis_service::login::{LoginOutcome, LoginRequest, login};
use portcullis_service::logout::{LogoutOutcome, logout};
use portcullis_service::logout_all::{announce_again, logout_all};
use portcullis_service::means::Means;
use portcullis_service::open::Grant;
use portcullis_service::ports::{Call, Clock};
use portcullis_service::refresh::{RefreshOutcome, RefreshRequest, refresh};
use portcullis_service::settings::Settings;
use portcullis_service::signing::published::PublishedKeys;
use portcullis_service::signing::{SigningError, SigningKeys};
use portcullis_service::store::StoreError;

use self::keys::{Keyless, SimCustody};
use crate::crypto::{SimHasher, SimKey, SimSignatures};
use crate::mutation::Mutation;
use crate::oracle::Invariant;
use crate::settings::settings;
use crate::store::{View, clock};
use crate::world::{Dependency, HOST_CACHE, World, policy};

/// So many attempts to log in as one user may be made within [`PER`].
pub(crate) const ATTEMPTS: u32 = 12;
pub(crate) const PER: Duration = Duration::from_secs(60);

/// What a user asks of a host.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Login(EmailAddress, Secret<String>),
    Refresh(String),
    Logout(String),
    LogoutAll(String),
}

/// What a host says.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The two tokens.
    Granted(String, String),
    Done,
    /// Not now, or not any more: by the code of the refusal.
    Refused(&'static str),
    /// 503: nothing may be concluded.
    Failed,
    /// 503 too: the document lets no key sign.
    NoKey,
}

pub(crate) struct Host {
    pub(crate) name: String,
    world: Rc<World>,
    offset: i64,
    gate: Gate,
    store: View,
    secrets: View,
    vault: Vault,
    settings: Settings,
    keys: SigningKeys<SimKey>,
    published: PublishedKeys,
}

/// The host's clock, as use cases read it after their writes.
struct Watch<'a> {
    host: &'a Host,
    began: UnixTime,
}

impl Clock for Watch<'_> {
    fn now(&self) -> UnixTime {
        if self.host.world.mutation == Some(Mutation::AcknowledgeLate) {
            self.began
        } else {
            self.host.now()
        }
    }
}

impl Host {
    pub(crate) fn new(world: &Rc<World>, name: String, offset: i64) -> Rc<Self> {
        Rc::new(Self {
            store: View::new(world, &name, Dependency::Store),
            secrets: View::new(world, &name, Dependency::Secrets),
            name,
            world: Rc::clone(world),
            offset,
            gate: Gate::new(policy(world.plan.lifetime, None)),
            vault: vault(),
            settings: settings(world.plan.lifetime),
            keys: SigningKeys::new(world.plan.lifetime, HOST_CACHE),
            published: PublishedKeys::new(HOST_CACHE),
        })
    }

    fn now(&self) -> UnixTime {
        clock(self.world.now(), self.offset)
    }

    /// Answers; crashes are the caller's to see. The name of the request marks what it wrote.
    pub(crate) async fn answer(self: Rc<Self>, ask: Ask, request_id: Id) -> Reply {
        let call = Call {
            now: self.now(),
            request_id,
            client_address: String::new(),
        };
        match self.serve(ask, &call).await {
            Ok(reply) => reply,
            Err(_) => Reply::Failed,
        }
    }

    async fn serve(&self, ask: Ask, call: &Call) -> Result<Reply, ServiceError> {
        let watch = Watch {
            host: self,
            began: call.now,
        };
        let means = Means {
            store: &self.store,
            chance: &*self.world,
            vault: &self.vault,
            settings: &self.settings,
            call,
        };
        match ask {
            Ask::Login(email, password) => {
                let arrived = self.world.now();
                match enter(Scope::LoginEmail, Whose::Email(&email), means).await? {
                    Entry::Passes(_) => {}
                    Entry::Limited(_) => return Ok(Reply::Refused("too_many_attempts")),
                }
                self.world.oracle.borrow_mut().passes(&email, arrived);
                let Some(key) = self.signer(call).await? else {
                    return Ok(Reply::NoKey);
                };
                let request = LoginRequest {
                    email,
                    password: Password::parse(&password).expect("long enough"),
                    device: Device::default(),
                };
                Ok(match login(&request, &SimHasher, &*key, means).await? {
                    LoginOutcome::Admit(admission) => granted(&admission.grant),
                    LoginOutcome::Challenge(_) => Reply::Refused("second_factor"),
                    LoginOutcome::Refuse(_) => Reply::Refused("bad_credentials"),
                })
            }
            Ask::Refresh(token) => {
                let Some(key) = self.signer(call).await? else {
                    return Ok(Reply::NoKey);
                };
                let request = RefreshRequest {
                    token: Secret::new(token),
                    carrier: Carrier::Hand,
                };
                Ok(match refresh(&request, &*key, &watch, means).await? {
                    RefreshOutcome::Renew(grant) => granted(&grant),
                    RefreshOutcome::Refuse(_) => Reply::Refused("refresh"),
                    RefreshOutcome::Reused => Reply::Refused("reused"),
                })
            }
            Ask::Logout(token) => match self.caller(&token, call).await? {
                Caller::Known(caller) | Caller::Revoked(caller) => {
                    done(logout(&caller, &watch, means).await?)
                }
                Caller::Superseded(_) => Ok(Reply::Refused("revoked")),
                Caller::Refused(denial) => Ok(Reply::Refused(denial.code())),
            },
            Ask::LogoutAll(token) => match self.caller(&token, call).await? {
                Caller::Known(caller) => done(logout_all(&caller, &watch, means).await?),
                Caller::Revoked(_) => Ok(Reply::Refused("revoked")),
                Caller::Superseded(caller) => done(announce_again(&caller, &watch, means).await?),
                Caller::Refused(denial) => Ok(Reply::Refused(denial.code())),
            },
        }
    }

    /// The key that signs, if one does.
    async fn signer(&self, call: &Call) -> Result<Option<Arc<SimKey>>, StoreError> {
        let custody = SimCustody {
            host: self,
            now: call.now,
            request_id: &call.request_id,
        };
        let (keys, published) = (&self.keys, &self.published);
        let ready = keys.ready(published, &custody, &self.store, call.now).await;
        let mut oracle = self.world.oracle.borrow_mut();
        match ready {
            Ok(key) => {
                if self.world.tables.borrow().document.keys().len() > 1 {
                    oracle.count(Invariant::Signs);
                }
                Ok(Some(key))
            }
            Err(
                SigningError::Document(error)
                | SigningError::Publication(error)
                | SigningError::Custody(Keyless::Secret(error)),
            ) => Err(error),
            Err(error) => {
                if !oracle.is_emergency() {
                    let what = format!("{} finds no key to sign with: {error}", self.name);
                    oracle.fail(Invariant::Signs, what);
                }
                Ok(None)
            }
        }
    }

    async fn caller(&self, token: &str, call: &Call) -> Result<Caller, StoreError> {
        let header = format!("Bearer {token}");
        authenticate(
            &self.gate,
            Some(&header),
            &self.store,
            &SimSignatures,
            call.now,
        )
        .await
    }
}

/// The root keys that all hosts share.
pub(crate) fn vault() -> Vault {
    let document = Vault::document(&Secret::new([7; 32]));
    Vault::parse(document.expose().as_bytes()).expect("the form of a vault")
}

fn granted(grant: &Grant) -> Reply {
    let access = grant.access.token.expose().clone();
    Reply::Granted(access, grant.refresh.expose().clone())
}

fn done(outcome: LogoutOutcome) -> Result<Reply, ServiceError> {
    Ok(match outcome {
        LogoutOutcome::Done => Reply::Done,
        LogoutOutcome::NoSession => Reply::Refused("no_session"),
    })
}
