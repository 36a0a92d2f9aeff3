//! Users: they log in on some devices, use the edges, refresh, log out, and retry without a
//! response.

use std::rc::Rc;

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::secret::Secret;
use portcullis_service::ports::SecureRandom as _;

use crate::account::PASSWORD;
use crate::edge::SimEdge;
use crate::host::{Ask, HostReply, LoginAttempt, SimHost};
use crate::oracle::{Case, Held, Invariant, brief};
use crate::probe::{ask_edge, draw_mode};
use crate::promise::Promise;
use crate::world::SimWorld;

/// A refresh token sent longer ago than this may have been used outside its window.
const SAFE_TO_REPEAT: u64 = 5_000;

/// One device of one user.
pub(crate) struct SimUser {
    pub(crate) world: Rc<SimWorld>,
    pub(crate) name: String,
    pub(crate) email: EmailAddress,
    /// Its network address.
    pub(crate) address: String,
    pub(crate) hosts: Vec<Rc<SimHost>>,
    pub(crate) edges: Vec<Rc<SimEdge>>,
}

/// The tokens of a device.
pub(crate) struct Login {
    pub(crate) access: Held,
    pub(crate) refresh: String,
    /// The time when this refresh token was first sent.
    sent_at: Option<u64>,
}

impl SimUser {
    /// Runs until the end of the simulation.
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
                    if let Some(token) = old.last() {
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
                    // A thief of the tokens continues for as long as they work.
                    let of_session = |token: &&Held| token.session == ended.session;
                    let stolen = old.iter().filter(of_session).cloned().collect();
                    let (thief, world) = (self.again(), Rc::clone(&self.world));
                    let executor = Rc::clone(&world.executor);
                    executor.spawn(async move { thief.show(stolen).await });
                }
                98 => self.world.random.pick(&self.edges).evict(),
                _ => {
                    self.world.random.pick(&self.hosts).restart();
                    self.world.oracle.borrow_mut().meet(Case::Restart);
                }
            }
        }
    }

    /// A thief with a copy of this user's tokens.
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

    pub(crate) async fn use_edge(&self, token: &Held) {
        let (world, edge) = (&self.world, self.world.random.pick(&self.edges));
        let mode = draw_mode(world);
        if world.random.chance(30) && !world.plan.is_quiet(world.now()) {
            let patience = world.random.within(1, 60);
            let leaving = Rc::clone(edge).leave(token.text.clone(), mode, patience);
            world.executor.spawn(leaving);
        }
        if let Some((asked, answer)) = ask_edge(world, edge, token, mode, &self.name).await {
            world.oracle.borrow_mut().answered(&asked, token, &answer);
        }
    }

    /// Calls one host; `None` after a crash or a lost response.
    pub(crate) async fn ask(&self, ask: Ask) -> (Id, Option<HostReply>) {
        let asked_at = self.world.now();
        let (id, host, reply) = self.send(ask).await;
        if let Some(reply) = &reply {
            self.record_reply(&host, asked_at, reply);
        }
        let reply = reply.filter(|_| !self.world.fault(10));
        if reply.is_none() {
            self.world
                .tell(|| format!("{} gets no response", self.name));
        }
        (id, reply)
    }

    /// The same without the requirement to be served.
    pub(crate) async fn send(&self, ask: Ask) -> (Id, Rc<SimHost>, Option<HostReply>) {
        let host = self.world.random.pick(&self.hosts);
        let id = self.world.id().expect("chance");
        let work = Rc::clone(host).answer(ask.clone(), id.clone());
        let reply = self.world.executor.remote(work).await;
        self.world.tell(|| {
            let what = match &ask {
                Ask::Login(_) => "login",
                Ask::Refresh(_) => "refresh",
                Ask::Logout(_) => "logout",
                Ask::LogoutAll(_) => "logout everywhere",
            };
            let said = match &reply {
                None => "no response",
                Some(HostReply::Granted(access, ..)) => {
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
                Some(HostReply::Done) => "done",
                Some(HostReply::Refused(code)) => code,
                Some(HostReply::Failed) => "not now",
                Some(HostReply::NoKey) => "no key signs",
            };
            format!("{} {what} by {}: {said}", self.name, host.name)
        });
        (id, Rc::clone(host), reply)
    }

    /// A request that must be served.
    fn record_reply(&self, host: &SimHost, asked_at: u64, reply: &HostReply) {
        let now = self.world.now();
        let spared = self.world.spares(&host.name, asked_at);
        let mut oracle = self.world.oracle.borrow_mut();
        match reply {
            HostReply::NoKey => oracle.lacks_key(&host.name, asked_at, now),
            HostReply::Failed => oracle.replied(&host.name, false, spared),
            HostReply::Granted(..) => {
                if self.world.tables.borrow().document.keys().len() > 1 {
                    oracle.count(Invariant::Signs);
                }
                oracle.replied(&host.name, true, spared);
            }
            HostReply::Done | HostReply::Refused(_) => oracle.replied(&host.name, true, spared),
        }
    }

    pub(crate) fn credentials(&self, password: String, cookie: Option<String>) -> Ask {
        Ask::Login(LoginAttempt {
            email: self.email.clone(),
            password: Secret::new(password),
            cookie,
            address: self.address.clone(),
        })
    }

    async fn log_in(&self, cookie: &mut Option<String>) -> Option<Login> {
        let ask = self.credentials(PASSWORD.to_owned(), cookie.clone());
        let asked_at = self.world.now();
        let (id, reply) = self.ask(ask).await;
        let Some(HostReply::Granted(access, refresh, known)) = reply else {
            return None;
        };
        *cookie = known;
        let login = self.take(&access, refresh, asked_at);
        let session = own_id(&login.access.session);
        self.world.promise(Promise::Opened(id, session));
        Some(login)
    }

    fn take(&self, access: &str, refresh: String, asked_at: u64) -> Login {
        let access = Held::read(access);
        let mut oracle = self.world.oracle.borrow_mut();
        oracle.issued(&access, asked_at, self.world.now());
        oracle.holds(&refresh);
        Login {
            access,
            refresh,
            sent_at: None,
        }
    }

    /// Refreshes, sometimes at two hosts at once; returns whether the session continues.
    async fn refresh(&self, held: &mut Login) -> bool {
        let now = self.world.now();
        let sent_at = *held.sent_at.get_or_insert(now);
        if now - sent_at > SAFE_TO_REPEAT {
            // It may correctly count as theft.
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
        let silent = |reply: &Option<HostReply>| match reply {
            Some(HostReply::Failed | HostReply::NoKey) | None => true,
            Some(HostReply::Granted(..) | HostReply::Refused(_) | HostReply::Done) => false,
        };
        let is_doubtful = replies.len() > 1 && replies.iter().any(|(_, reply)| silent(reply));
        let mut goes_on = true;
        let mut next: Option<Login> = None;
        let was_first_sent_now = now - sent_at <= SAFE_TO_REPEAT;
        for (_, reply) in replies {
            match reply {
                Some(HostReply::Granted(access, refresh, _)) => {
                    let taken = self.take(&access, refresh, now);
                    // Of two concurrent refreshes near the end of the window, one may have returned
                    // the used token.
                    let newer = |held: &Login| generation(&held.refresh);
                    next = Some(match next {
                        Some(held) if newer(&held) > newer(&taken) => held,
                        Some(_) | None => taken,
                    });
                }
                Some(HostReply::Refused(code)) => {
                    goes_on = false;
                    if was_first_sent_now {
                        self.world.oracle.borrow_mut().refused(&held.access, code);
                    }
                }
                Some(HostReply::Done | HostReply::Failed | HostReply::NoKey) | None => {}
            }
        }
        if let Some(next) = next {
            let reached = generation(&next.refresh);
            let session = own_id(&next.access.session);
            self.world.head_reaches(session, reached);
            self.world.oracle.borrow_mut().goes_on(&next.access, now);
            let before = std::mem::replace(held, next);
            // Of two hosts, the one without a response may have issued the successor.
            held.sent_at = is_doubtful.then_some(now);
            if generation(&before.refresh) < reached && self.world.random.chance(40) {
                let (thief, world) = (self.again(), Rc::clone(&self.world));
                let executor = Rc::clone(&world.executor);
                executor.spawn(async move { thief.refresh_again(before).await });
            }
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
                Some(HostReply::Done) => {
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
                Some(HostReply::Refused(_)) => return,
                Some(HostReply::Failed | HostReply::NoKey | HostReply::Granted(..)) | None => {}
            }
            self.world.sleep(self.world.random.within(100, 2_000)).await;
        }
    }
}

pub(crate) fn own_id(text: &str) -> Id {
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
