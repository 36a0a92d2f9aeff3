//! Users, their browsers and networks, and their attackers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::root_keys::RootKeys;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::context::ServiceContext;
use portcullis_service::limit::{self, LimitOutcome, Reservation};
use portcullis_service::ports::RequestMeta;
use portcullis_service::settings::Settings;

use crate::store::{Dice, Memory};

/// Users log in for two days before anything is counted: most browsers are known by then, as at any
/// established service.
const WARM_UP: u64 = 2 * 86_400;

/// 2026-11-23T12:00:00Z.
const NOON: u64 = 1_795_435_200;

/// The number of users.
const PEOPLE: u64 = 3_000;

/// Every third user shares one of this many addresses: offices, campuses, carriers.
const SHARED_NETWORKS: u64 = 10;

/// The percentage of mistyped passwords; the user retypes it up to five times.
const MISTYPED: u64 = 12;

/// The percentage of logins from a browser that is new or has lost its cookies.
const FORGOTTEN: u64 = 4;

/// The accounts under attack: each is guessed at around the clock from a thousand addresses.
const TARGETS: u64 = 60;

/// The addresses from which common passwords are tried on every account in turn.
const SPRAYERS: u64 = 20;

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Attack {
    None,
    /// Targeted guessing, password spraying, and an attacker in one office.
    Everything,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) tried: u64,
    pub(crate) refused: u64,
}

impl Share {
    fn note(&mut self, refused: bool) {
        self.tried += 1;
        self.refused += u64::from(refused);
    }

    pub(crate) fn share(self) -> f64 {
        self.refused as f64 / self.tried.max(1) as f64
    }
}

#[derive(Default)]
pub(crate) struct PopulationReport {
    /// Attempts of users from known browsers.
    pub(crate) known: Share,
    /// Attempts of users from unknown browsers.
    pub(crate) unknown: Share,
    pub(crate) guesses: Share,
    /// The maximum number of guesses at one address that passed within an hour.
    pub(crate) most_in_an_hour: usize,
}

impl PopulationReport {
    /// Adds the numbers of another run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (share, more) in [
            (&mut self.known, &other.known),
            (&mut self.unknown, &other.unknown),
            (&mut self.guesses, &other.guesses),
        ] {
            share.tried += more.tried;
            share.refused += more.refused;
        }
        self.most_in_an_hour = self.most_in_an_hour.max(other.most_in_an_hour);
    }

    /// The share of users' attempts that were rejected.
    pub(crate) fn share_refused(&self) -> f64 {
        let both = Share {
            tried: self.known.tried + self.unknown.tried,
            refused: self.known.refused + self.unknown.refused,
        };
        both.share()
    }
}

/// The event of a second: a user's login, first or repeated, or a guess.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Login {
        person: u64,
        browser: u64,
        tries: u8,
    },
    TargetGuess {
        target: u64,
    },
    Spray {
        sprayer: u64,
        next: u64,
    },
    OfficeGuess,
}

/// Runs `seconds` of it, after browsers are known.
pub(crate) async fn run(
    settings: &Settings,
    seconds: u64,
    attack: Attack,
    seed: u64,
) -> PopulationReport {
    Population::new(settings, attack, seed).run(seconds).await
}

struct Population<'a> {
    settings: &'a Settings,
    root_keys: RootKeys,
    store: Memory,
    dice: Dice,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    cookies: HashMap<(u64, u64), String>,
    through: HashMap<u64, Vec<u64>>,
    report: PopulationReport,
}

impl<'a> Population<'a> {
    fn new(settings: &'a Settings, attack: Attack, seed: u64) -> Self {
        let document = RootKeys::document(&Secret::new([7; 32]));
        let mut population = Self {
            settings,
            root_keys: RootKeys::parse(document.expose().as_bytes()).expect("a document"),
            store: Memory::default(),
            dice: Dice::new(seed),
            events: BinaryHeap::new(),
            cookies: HashMap::new(),
            through: HashMap::new(),
            report: PopulationReport::default(),
        };
        for person in 0..PEOPLE {
            let first = population.dice.below(86_400);
            population.plan(
                first,
                Event::Login {
                    person,
                    browser: 0,
                    tries: 0,
                },
            );
        }
        if attack == Attack::Everything {
            for target in 0..TARGETS {
                population.plan(WARM_UP + target, Event::TargetGuess { target });
            }
            for sprayer in 0..SPRAYERS {
                population.plan(
                    WARM_UP + sprayer,
                    Event::Spray {
                        sprayer,
                        next: sprayer * 150,
                    },
                );
            }
            population.plan(WARM_UP, Event::OfficeGuess);
        }
        population
    }

    async fn run(mut self, seconds: u64) -> PopulationReport {
        while let Some(Reverse((second, event))) = self.events.pop() {
            if second >= WARM_UP + seconds {
                break;
            }
            if second < WARM_UP {
                self.report = PopulationReport::default();
            }
            match event {
                Event::Login {
                    person,
                    browser,
                    tries,
                } => {
                    self.login(second, person, browser, tries).await;
                }
                Event::TargetGuess { target } => {
                    let from = format!("198.51.{}.{}", self.dice.below(4), self.dice.below(250));
                    // All user numbers are equal, so these are spread evenly.
                    self.guess(second, target * (PEOPLE / TARGETS), &from).await;
                    self.plan(second + 120, event);
                }
                Event::Spray { sprayer, next } => {
                    self.guess(second, next % PEOPLE, &format!("192.0.2.{sprayer}"))
                        .await;
                    let event = Event::Spray {
                        sprayer,
                        next: next + 1,
                    };
                    self.plan(second + 36, event);
                }
                Event::OfficeGuess => {
                    let person = self.dice.below(PEOPLE);
                    self.guess(second, person, &network(0)).await;
                    self.plan(second + 10, event);
                }
            }
        }
        for times in self.through.values() {
            for start in times {
                let hour = times
                    .iter()
                    .filter(|time| (*start..start + 3_600).contains(time));
                self.report.most_in_an_hour = self.report.most_in_an_hour.max(hour.count());
            }
        }
        self.report
    }

    fn plan(&mut self, second: u64, event: Event) {
        self.events.push(Reverse((second, event)));
    }

    async fn login(&mut self, second: u64, person: u64, browser: u64, tries: u8) {
        if tries == 0 && self.dice.happens(FORGOTTEN) {
            self.cookies.remove(&(person, browser));
        }
        let cookie = self.cookies.get(&(person, browser)).cloned();
        let place = self
            .attempt(second, person, cookie.as_deref(), &network(person))
            .await;
        let share = match &cookie {
            Some(_) => &mut self.report.known,
            None => &mut self.report.unknown,
        };
        share.note(place.is_none());
        let mistyped = self.dice.happens(MISTYPED);
        match place {
            Some(place) if !mistyped => {
                let fresh = self.settle(second, person, cookie.as_deref(), &place).await;
                self.cookies.insert((person, browser), fresh);
            }
            // A rejected user returns at `Retry-After`; one who mistyped retries at once.
            Some(_) | None if tries < 5 && mistyped => {
                let soon = second + 4 + self.dice.below(20);
                self.plan(
                    soon,
                    Event::Login {
                        person,
                        browser,
                        tries: tries + 1,
                    },
                );
                return;
            }
            Some(_) | None => {}
        }
        // Up to three browsers each, and a login about every eight hours: most users stay logged
        // in.
        let next = second + 14_400 + self.dice.below(28_800);
        let browser = [0, 0, 0, 1, 1, 2][usize::try_from(self.dice.below(6)).expect("small")];
        self.plan(
            next,
            Event::Login {
                person,
                browser,
                tries: 0,
            },
        );
    }

    async fn guess(&mut self, second: u64, person: u64, from: &str) {
        let through = self.attempt(second, person, None, from).await.is_some();
        self.report.guesses.note(!through);
        if through {
            self.through.entry(person).or_default().push(second);
        }
    }

    async fn attempt(
        &self,
        second: u64,
        person: u64,
        cookie: Option<&str>,
        from: &str,
    ) -> Option<Reservation> {
        let call = call(second, from);
        let entry = limit::acquire_login(&email(person), cookie, self.ctx(&call)).await;
        match entry.expect("memory does not fail") {
            LimitOutcome::Allowed(place) => Some(place),
            LimitOutcome::Limited(_) => None,
        }
    }

    /// A successful login: it is refunded, and its browser is known.
    async fn settle(
        &self,
        second: u64,
        person: u64,
        presented: Option<&str>,
        place: &Reservation,
    ) -> String {
        let call = call(second, "");
        let ctx = self.ctx(&call);
        limit::refund(place, ctx)
            .await
            .expect("memory does not fail");
        let new = limit::device_cookie(&email(person), 0, presented, ctx).expect("dice");
        new.or_else(|| presented.map(str::to_owned))
            .expect("a cookie")
    }

    fn ctx<'b>(&'b self, call: &'b RequestMeta) -> ServiceContext<'b, Memory, Dice> {
        ServiceContext {
            store: &self.store,
            random: &self.dice,
            root_keys: &self.root_keys,
            settings: self.settings,
            call,
        }
    }
}

fn call(second: u64, from: &str) -> RequestMeta {
    RequestMeta {
        now: UnixTime::from_secs(NOON + second),
        request_id: Id::from_random([1; 16]),
        client_address: from.to_owned(),
    }
}

fn email(person: u64) -> EmailAddress {
    EmailAddress::parse(&format!("user{person}@example.com")).expect("an address")
}

/// Every third user shares an address; the others have one each, some of IPv6.
fn network(person: u64) -> String {
    match person % 3 {
        0 => format!("203.0.113.{}", (person / 3) % SHARED_NETWORKS),
        1 => format!("10.{}.{}.7", person / 256, person % 256),
        _ => format!("2001:db8:{person:x}:1::7"),
    }
}
