//! Users: they log in on a few devices, use the edges, refresh, log out, and try again when
//! nobody answers. One of them guesses passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_service::ports::{Chance as _, Clock as _};

use crate::edge::Edge;
use crate::host::{Ask, Credentials, Host, Reply};
use crate::oracle::{Asked, Held, brief};
use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A refresh token that was sent more than so long ago may have been spent outside its window.
const SAFE_TO_REPEAT: u64 = 5_000;

/// What somebody was told is done.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Promise {
    /// This request opened this session.
    Opened(Id, Id),
    /// This session is over.
    Ended(Id),
    /// Every session of this user below this generation is over.
    EndedAll(Id, u64),
}

/// One device of one user.
pub(crate) struct User {
    pub(crate) world: Rc<World>,
    pub(crate) name: String,
    pub(crate) email: EmailAddress,
    /// Where it is on the network.
    pub(crate) address: String,
    pub(crate) hosts: Vec<Rc<Host>>,
    pub(crate) edges: Vec<Rc<Edge>>,
}

/// What a device holds.
struct Login {
    access: Held,
    refresh: String,
    /// When this refresh token was first sent.
    sent_at: Option<u64>,
}

impl User {
    /// Lives until the end of the world.
    pub(crate) async fn live(self) {
        let mut login: Option<Login> = None;
        let mut cookie = None;
        let mut old: Vec<Held> = vec![];
        loop {
            let random = &self.world.random;
            self.world.sleep(random.within(100, 3_000)).await;
            let Some(held) = &mut login else {
                login = self.log_in(&mut cookie).await;
                continue;
            };
            match random.within(0, 99) {
                0..=59 => self.use_edge(&held.access).await,
                60..=74 => {
                    if let Some(token) = old.get(old.len().saturating_sub(1)) {
                        self.use_edge(token).await;
                    }
                }
                75..=91 => {
                    let before = held.access.clone();
                    if !self.refresh(held).await {
                        login = None;
                    }
                    old.push(before);
                }
                92..=97 => {
                    let ended = held.access.clone();
                    self.log_out(&ended, random.chance(250)).await;
                    old.push(ended.clone());
                    login = None;
                    // Whoever stole it goes on for as long as it works.
                    let (thief, world) = (self.again(), Rc::clone(&self.world));
                    world
                        .executor
                        .spawn(async move { thief.steal(ended).await });
                }
                _ => {
                    self.world.random.pick(&self.edges).evict();
                }
            }
        }
    }

    fn again(&self) -> Self {
        Self {
            world: Rc::clone(&self.world),
            name: format!("thief of {}", self.name),
            email: self.email.clone(),
            address: self.address.clone(),
            hosts: self.hosts.clone(),
            edges: self.edges.clone(),
        }
    }

    async fn steal(self, token: Held) {
        for _ in 0..60 {
            self.world.sleep(self.world.random.within(200, 1_500)).await;
            self.use_edge(&token).await;
        }
    }

    async fn use_edge(&self, token: &Held) {
        let edge = self.world.random.pick(&self.edges);
        let mode = if self.world.random.chance(80) {
            RevocationMode::Lookup
        } else {
            RevocationMode::Feed
        };
        let (callee, text) = (Rc::clone(edge), token.text.clone());
        let asked_at = self.world.now();
        let answer = self
            .world
            .executor
            .remote(async move { callee.admit(&text, mode).await });
        let Some(answer) = answer.await else { return };
        self.world.tell(|| {
            let said = answer
                .as_ref()
                .map_or_else(|denial| denial.code(), |()| "lets in");
            let (key, name) = (&token.key, &self.name);
            format!(
                "{} {said}: {name} with {} under {key}{}",
                edge.name,
                brief(&token.id),
                match mode {
                    RevocationMode::Feed => "",
                    RevocationMode::Lookup => ", looked up",
                }
            )
        });
        let asked = Asked {
            edge: &edge.name,
            mode,
            asked_at,
            answered_at: self.world.now(),
            edge_now: edge.now().as_secs(),
        };
        let hurried = self.world.tables.borrow().hurried.contains(&token.key);
        let mut oracle = self.world.oracle.borrow_mut();
        oracle.answered(&asked, token, answer, hurried);
    }

    /// Asks one host; `None` if it crashed or its answer was lost.
    async fn ask(&self, ask: Ask) -> (Id, Option<Reply>) {
        let host = self.world.random.pick(&self.hosts);
        let id = self.world.id().expect("chance");
        let work = Rc::clone(host).answer(ask.clone(), id.clone());
        let reply = self.world.executor.remote(work).await;
        let reply = reply.filter(|_| !self.world.fault(10));
        self.world.tell(|| {
            let what = match &ask {
                Ask::Login(_) => "login",
                Ask::Refresh(_) => "refresh",
                Ask::Logout(_) => "logout",
                Ask::LogoutAll(_) => "logout everywhere",
            };
            let said = match &reply {
                None => "no answer",
                Some(Reply::Granted(access, ..)) => {
                    let held = Held::read(access);
                    return format!(
                        "{} {what} by {}: token {} of session {} under {}",
                        self.name,
                        host.name,
                        brief(&held.id),
                        brief(&held.session),
                        held.key
                    );
                }
                Some(Reply::Done) => "done",
                Some(Reply::Refused(code)) => code,
                Some(Reply::Failed) => "not now",
                Some(Reply::NoKey) => "no key signs",
            };
            format!("{} {what} by {}: {said}", self.name, host.name)
        });
        (id, reply)
    }

    fn credentials(&self, password: String, cookie: Option<String>) -> Ask {
        Ask::Login(Credentials {
            email: self.email.clone(),
            password: Secret::new(password),
            cookie,
            address: self.address.clone(),
        })
    }

    async fn log_in(&self, cookie: &mut Option<String>) -> Option<Login> {
        let ask = self.credentials(PASSWORD.to_owned(), cookie.clone());
        let (id, reply) = self.ask(ask).await;
        let Some(Reply::Granted(access, refresh, known)) = reply else {
            return None;
        };
        *cookie = known;
        let login = self.take(&access, refresh);
        let session = own_id(&login.access.session);
        self.world.promise(Promise::Opened(id, session));
        Some(login)
    }

    fn take(&self, access: &str, refresh: String) -> Login {
        let access = Held::read(access);
        let mut oracle = self.world.oracle.borrow_mut();
        oracle.issued(&access, self.world.now());
        oracle.holds(&refresh);
        Login {
            access,
            refresh,
            sent_at: None,
        }
    }

    /// Refreshes, sometimes by two hosts at once; whether the session goes on.
    async fn refresh(&self, held: &mut Login) -> bool {
        let now = self.world.now();
        let sent_at = *held.sent_at.get_or_insert(now);
        if now - sent_at > SAFE_TO_REPEAT {
            // It may be taken for a thief's, and rightly so.
            let mut oracle = self.world.oracle.borrow_mut();
            oracle.session_ends(&held.access.session, now, false);
        }
        let ask = || Ask::Refresh(held.refresh.clone());
        let replies = if self.world.random.chance(400) {
            let (one, two) = futures_util::future::join(self.ask(ask()), self.ask(ask())).await;
            vec![one, two]
        } else {
            vec![self.ask(ask()).await]
        };
        let silent = |reply: &Option<Reply>| match reply {
            Some(Reply::Failed | Reply::NoKey) | None => true,
            Some(Reply::Granted(..) | Reply::Refused(_) | Reply::Done) => false,
        };
        let is_doubtful = replies.len() > 1 && replies.iter().any(|(_, reply)| silent(reply));
        let mut goes_on = true;
        let mut next: Option<Login> = None;
        for (_, reply) in replies {
            match reply {
                Some(Reply::Granted(access, refresh, _)) => {
                    let taken = self.take(&access, refresh);
                    // Of two that raced about the end of the window, one may be the spent one.
                    let newer = |held: &Login| generation(&held.refresh);
                    next = Some(match next {
                        Some(held) if newer(&held) > newer(&taken) => held,
                        Some(_) | None => taken,
                    });
                }
                Some(Reply::Refused(_)) => goes_on = false,
                Some(Reply::Done | Reply::Failed | Reply::NoKey) | None => {}
            }
        }
        if let Some(next) = next {
            let generation = generation(&next.refresh);
            let session = own_id(&next.access.session);
            self.world.head_reaches(session, generation);
            *held = next;
            // Of two hosts, the silent one may have been the one that went on to the next.
            held.sent_at = is_doubtful.then_some(now);
        }
        goes_on
    }

    async fn log_out(&self, token: &Held, everywhere: bool) {
        for _ in 0..30 {
            let now = self.world.now();
            let below = token.generation + 1;
            let ask = if everywhere {
                let mut oracle = self.world.oracle.borrow_mut();
                oracle.subject_ends(&token.subject, below, now, false);
                Ask::LogoutAll(token.text.clone())
            } else {
                let mut oracle = self.world.oracle.borrow_mut();
                oracle.session_ends(&token.session, now, false);
                Ask::Logout(token.text.clone())
            };
            let (_, reply) = self.ask(ask).await;
            match reply {
                Some(Reply::Done) => {
                    let now = self.world.now();
                    let mut oracle = self.world.oracle.borrow_mut();
                    if everywhere {
                        oracle.subject_ends(&token.subject, below, now, true);
                        let subject = own_id(&token.subject);
                        self.world.promise(Promise::EndedAll(subject, below));
                    } else {
                        oracle.session_ends(&token.session, now, true);
                        self.world.promise(Promise::Ended(own_id(&token.session)));
                    }
                    return;
                }
                Some(Reply::Refused(_)) => return,
                Some(Reply::Failed | Reply::NoKey | Reply::Granted(..)) | None => {}
            }
            self.world.sleep(self.world.random.within(100, 2_000)).await;
        }
    }

    /// Guesses, by many hosts at once.
    pub(crate) async fn guess(self) {
        loop {
            self.world
                .sleep(self.world.random.within(5_000, 40_000))
                .await;
            let guesses = (0..self.world.random.within(4, 24))
                .map(|number| self.ask(self.credentials(format!("{PASSWORD} {number}"), None)));
            for (_, reply) in futures_util::future::join_all(guesses).await {
                if let Some(Reply::Refused("too_many_attempts")) = reply {
                    let mut oracle = self.world.oracle.borrow_mut();
                    oracle.count(crate::oracle::Invariant::Quota);
                }
            }
        }
    }
}

fn own_id(text: &str) -> Id {
    Id::parse(text).expect("our own id")
}

/// The generation in a refresh token.
fn generation(refresh: &str) -> u64 {
    let mut parts = refresh.split('.').skip(1);
    parts
        .next()
        .and_then(|number| number.parse().ok())
        .expect("our own token")
}

/// What was promised, to be looked for at the end.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) done: BTreeSet<Promise>,
    pub(crate) heads: BTreeMap<Id, u64>,
}
