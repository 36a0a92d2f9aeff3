//! Account pre-hijacking ("Pre-hijacked Accounts", Sudhodanan and Paverd, USENIX Security 2022): an
//! attacker registers the address of a victim first. After the first proof of the address, nothing
//! that the attacker chose or saw is valid.

use std::path::PathBuf;

use http::Method;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_host::tasks;
use portcullis_service::import::{ImportOutcome, ImportRequest, import};
use portcullis_service::ports::RequestMeta;
use portcullis_tests::mailbox::{ReceivedMail, letters};
use portcullis_tests::system::{CHEAP, DEVICE_COOKIE, Peer, REGISTRATION_COOKIE, Reply, System};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::factors::{call, code, second};
use crate::refresh::refresh;
use crate::{is_problem, token};

const EMAIL: &str = "ann@example.com";
const OWNERS: &str = "gravel otter lampshade quince";
const ATTACKERS: &str = "correct horse battery";
const ATTACKERS_NEXT: &str = "wrong horse battery staple";
const CHOSEN: &str = "gates fall at nightfall";

/// Two wrong passwords per hour from unknown browsers; everything else is unlimited.
const LIMITS: &str = "login_email=2/3600,login_address=off,login_device=off,register_address=off,\
                      register_email=off,mail_address=off,reset_email=off,verify_email=off,\
                      link_address=off,password_account=off,factor_account=off,\
                      recovery_account=off,account_address=off";

/// A step before the owner proves the address.
#[derive(Clone, Copy, Debug)]
enum Step {
    AttackerRegisters,
    OwnerRegisters,
    AttackerLogsIn,
    AttackerEnrolsFactor,
    AttackerRefreshes,
    AttackerChangesPassword,
    AttackerAsksForMail,
    MailIsDelivered,
}

/// The link with which the owner proves the address.
#[derive(Clone, Copy, Debug)]
enum Link {
    Verify,
    Reset,
    /// The browser is unlocked first, which proves nothing.
    Unlock,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::AttackerRegisters),
        3 => Just(Step::OwnerRegisters),
        3 => Just(Step::AttackerLogsIn),
        2 => Just(Step::AttackerEnrolsFactor),
        1 => Just(Step::AttackerRefreshes),
        1 => Just(Step::AttackerChangesPassword),
        1 => Just(Step::AttackerAsksForMail),
        2 => Just(Step::MailIsDelivered),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    prop_oneof![Just(Link::Verify), Just(Link::Reset), Just(Link::Unlock)]
}

/// Everything that the attacker chose or saw.
#[derive(Default)]
struct Attacker {
    passwords: Vec<&'static str>,
    access: Vec<String>,
    refresh: Vec<String>,
    challenges: Vec<String>,
    devices: Vec<String>,
    secret: Option<String>,
    recovery: Vec<String>,
}

impl Attacker {
    fn keep(&mut self, reply: &Reply) {
        if let Some(access) = reply.json["access_token"].as_str() {
            self.access.push(access.to_owned());
        }
        if let Some(refresh) = reply.json["refresh_token"].as_str() {
            self.refresh.push(refresh.to_owned());
        }
        if let Some(challenge) = reply.json["challenge"].as_str() {
            self.challenges.push(challenge.to_owned());
        }
        self.devices.extend(reply.cookie(DEVICE_COOKIE));
    }
}

struct Case {
    system: System,
    peer: Peer,
    folder: PathBuf,
    attacker: Attacker,
    /// The registration cookie of the owner's browser.
    owner: Option<String>,
    /// Whether the owner's registration created the account, and her browser has its cookie.
    owner_chose: Option<bool>,
}

impl Case {
    async fn open(require_verified: bool) -> Self {
        let system = System::start().await.expect("a system");
        let folder = system.folder().join("mail");
        let changes = [
            ("PORTCULLIS_MAILBOX", folder.to_str().expect("UTF-8")),
            (
                "PORTCULLIS_REQUIRE_VERIFIED",
                if require_verified { "on" } else { "off" },
            ),
            ("PORTCULLIS_LIMITS", LIMITS),
        ];
        let peer = system.another(CHEAP, &changes).await.expect("a host");
        Self {
            system,
            peer,
            folder,
            attacker: Attacker::default(),
            owner: None,
            owner_chose: None,
        }
    }

    async fn deliver(&self) {
        self.system.clock.pass(1);
        let _ = tasks::run_due(&self.peer.host).await.expect("a round");
    }

    fn last(&self, page: &str) -> ReceivedMail {
        let letters = letters(&self.folder);
        let found = letters.into_iter().rev();
        let mut found = found.filter(|letter| letter.text.contains(page));
        found.next().expect("a mail")
    }

    async fn take(&mut self, step: Step) {
        self.system.clock.pass(1);
        match step {
            Step::AttackerRegisters => {
                let reply = self.peer.register(EMAIL, ATTACKERS).await;
                assert_eq!(reply.status, 201, "{reply:?}");
                let _ = self.owner_chose.get_or_insert(false);
                if self.attacker.passwords.is_empty() {
                    self.attacker.passwords.push(ATTACKERS);
                }
            }
            Step::OwnerRegisters => {
                let reply = self.peer.register(EMAIL, OWNERS).await;
                assert_eq!(reply.status, 201, "{reply:?}");
                // Only her first registration can have created the account. A later one replaces
                // the cookie.
                self.owner_chose = Some(self.owner_chose.is_none());
                self.owner = reply.cookie(REGISTRATION_COOKIE);
            }
            Step::AttackerLogsIn => self.log_in().await,
            Step::AttackerEnrolsFactor => self.enrol().await,
            Step::AttackerRefreshes => {
                if let Some(token) = self.attacker.refresh.last().cloned() {
                    let reply = refresh(&self.peer, &token).await;
                    self.attacker.keep(&reply);
                }
            }
            Step::AttackerChangesPassword => {
                if let (Some(access), Some(current)) =
                    (self.attacker.access.last(), self.attacker.passwords.last())
                {
                    let body = json!({"current_password": current, "new_password": ATTACKERS_NEXT});
                    let path = "/v1/password/change";
                    let reply = call(&self.peer, Method::POST, path, access, &body).await;
                    if reply.status == 200 {
                        self.attacker.passwords.push(ATTACKERS_NEXT);
                    }
                    self.attacker.keep(&reply);
                }
            }
            Step::AttackerAsksForMail => {
                for path in ["/v1/email/resend", "/v1/password/forgot"] {
                    let reply = self.peer.post(path, &json!({"email": EMAIL})).await;
                    assert_eq!(reply.status, 202, "{reply:?}");
                }
            }
            Step::MailIsDelivered => self.deliver().await,
        }
    }

    async fn log_in(&mut self) {
        let Some(password) = self.attacker.passwords.last() else {
            return;
        };
        let reply = self.peer.login(EMAIL, password).await;
        self.attacker.keep(&reply);
        if let (Some(challenge), Some(code)) = (
            reply.json["challenge"].as_str(),
            self.attacker.recovery.pop(),
        ) {
            let reply = second(&self.peer, challenge, "recovery_code", &code).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            self.attacker.keep(&reply);
        }
    }

    async fn enrol(&mut self) {
        let (Some(access), Some(password)) =
            (self.attacker.access.last(), self.attacker.passwords.last())
        else {
            return;
        };
        let body = json!({"current_password": password});
        let path = "/v1/factors/totp";
        let begun = call(&self.peer, Method::POST, path, access, &body).await;
        let Some(secret) = begun.json["secret"].as_str() else {
            return;
        };
        let now = self.system.clock.now();
        let body = json!({"code": code(secret, now)});
        let path = "/v1/factors/totp/confirm";
        let confirmed = call(&self.peer, Method::POST, path, access, &body).await;
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        self.attacker.secret = Some(secret.to_owned());
        let codes = confirmed.json["recovery_codes"].as_array().expect("codes");
        let codes = codes.iter().filter_map(|code| code.as_str());
        self.attacker.recovery = codes.map(str::to_owned).collect();
    }

    /// The owner proves the address in her browser. Returns her password and her device cookie.
    async fn prove(&mut self, link: Link) -> (&'static str, String) {
        match link {
            Link::Verify => self.verify().await,
            Link::Reset => {
                let body = json!({"email": EMAIL});
                assert_eq!(
                    self.peer.post("/v1/password/forgot", &body).await.status,
                    202
                );
                self.deliver().await;
                let letter = self.last("/password/reset#");
                let body = json!({"token": letter.token(), "new_password": CHOSEN});
                let reply = self.peer.post("/v1/password/reset", &body).await;
                assert_eq!(reply.status, 204, "{reply:?}");
                (
                    CHOSEN,
                    reply.cookie(DEVICE_COOKIE).expect("a device cookie"),
                )
            }
            Link::Unlock => {
                self.unlock().await;
                self.verify().await
            }
        }
    }

    async fn verify(&mut self) -> (&'static str, String) {
        self.deliver().await;
        let letter = self.last("/email/verify#");
        let cookie = self.owner.clone().expect("a registration");
        let cookie = format!("{REGISTRATION_COOKIE}={cookie}");
        let path = "/v1/email/verify";
        let body = json!({"token": letter.token()});
        let reply = self.peer.post_with(path, &body, &cookie).await;
        let (password, reply) = if self.owner_chose == Some(true) {
            (OWNERS, reply)
        } else {
            is_problem(&reply, 409, "new_password_required");
            let body = json!({"token": letter.token(), "new_password": CHOSEN});
            (CHOSEN, self.peer.post_with(path, &body, &cookie).await)
        };
        assert_eq!(reply.status, 204, "{reply:?}");
        (
            password,
            reply.cookie(DEVICE_COOKIE).expect("a device cookie"),
        )
    }

    /// Makes the owner's browser known while the address is unverified. The password of the
    /// account stays as it is.
    async fn unlock(&mut self) {
        let now = self.peer.host.clock.read().expect("a time");
        let meta = RequestMeta {
            now,
            request_id: Id::parse("unlock").expect("an id"),
            client_address: String::new(),
        };
        let store = self.peer.host.store(now);
        let ctx = self.peer.host.ctx(&store, &meta).await.expect("a context");
        let email = EmailAddress::parse(EMAIL).expect("an address");
        let asked = portcullis_service::mailing::request::offer_unlock(&email, ctx).await;
        asked.expect("queued");
        self.deliver().await;
        let letter = self.last("/login/unlock#");
        let body = json!({"token": letter.token()});
        let reply = self.peer.post("/v1/login/unlock", &body).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    /// Nothing that the attacker chose or saw is valid, and the owner is let in.
    async fn check(&mut self, password: &'static str, device: &str) {
        let owner = format!("{DEVICE_COOKIE}={device}");
        let credentials = json!({"email": EMAIL, "password": password});
        for access in &self.attacker.access {
            let body = json!({});
            let reply = call(&self.peer, Method::GET, "/v1/sessions", access, &body).await;
            is_problem(&reply, 401, "revoked");
        }
        for token in &self.attacker.refresh {
            let reply = refresh(&self.peer, token).await;
            assert_eq!(reply.status, 400, "{reply:?}");
        }
        for challenge in &self.attacker.challenges {
            let now = self.system.clock.now();
            if let Some(secret) = &self.attacker.secret {
                let reply = second(&self.peer, challenge, "code", &code(secret, now)).await;
                assert_eq!(reply.status, 401, "{reply:?}");
            }
            if let Some(code) = self.attacker.recovery.last() {
                let reply = second(&self.peer, challenge, "recovery_code", code).await;
                assert_eq!(reply.status, 401, "{reply:?}");
            }
        }
        // The attacker's failed logins no longer count.
        self.system.clock.pass(3_600);
        for attackers in [ATTACKERS, ATTACKERS_NEXT] {
            let reply = self.peer.login(EMAIL, attackers).await;
            is_problem(&reply, 401, "bad_credentials");
        }
        // The count of unknown browsers is used up now: the attacker's browsers share it, the
        // owner's has its own.
        let guess = json!({"email": EMAIL, "password": ATTACKERS});
        for device in &self.attacker.devices {
            let cookie = format!("{DEVICE_COOKIE}={device}");
            let runs = self.peer.host.hasher.runs();
            let reply = self.peer.post_with("/v1/login", &guess, &cookie).await;
            is_problem(&reply, 429, "rate_limited");
            assert_eq!(self.peer.host.hasher.runs(), runs, "nothing was hashed");
        }
        let reply = self.peer.post_with("/v1/login", &credentials, &owner).await;
        // No second factor is left.
        let _ = token(&reply);
        if self.attacker.secret.is_some() {
            self.check_factor(&token(&reply), password, &owner).await;
        }
    }

    /// The owner enrols a factor of her own: the attacker's codes are not valid for it.
    async fn check_factor(&mut self, access: &str, password: &str, owner: &str) {
        self.system.clock.pass(30);
        let body = json!({"current_password": password});
        let path = "/v1/factors/totp";
        let begun = call(&self.peer, Method::POST, path, access, &body).await;
        let secret = begun.json["secret"].as_str().expect("a secret");
        let now = self.system.clock.now();
        let body = json!({"code": code(secret, now)});
        let path = "/v1/factors/totp/confirm";
        let confirmed = call(&self.peer, Method::POST, path, access, &body).await;
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        let credentials = json!({"email": EMAIL, "password": password});
        let reply = self.peer.post_with("/v1/login", &credentials, owner).await;
        let challenge = reply.json["challenge"].as_str().expect("a challenge");
        if let Some(code) = self.attacker.recovery.last() {
            let reply = second(&self.peer, challenge, "recovery_code", code).await;
            is_problem(&reply, 403, "wrong_code");
        }
    }
}

async fn run(require_verified: bool, steps: &[Step], link: Link) {
    let mut case = Case::open(require_verified).await;
    for step in steps {
        case.take(*step).await;
    }
    if case.owner.is_none() {
        case.take(Step::OwnerRegisters).await;
    }
    let (password, device) = case.prove(link).await;
    case.check(password, &device).await;
}

#[test]
fn account_takeover_nothing_of_an_attacker_survives_the_first_proof_of_an_address() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::new(Config {
        cases: 32,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..Config::default()
    });
    let cases = (
        prop::bool::weighted(0.3),
        prop::collection::vec(step(), 0..10),
        link(),
    );
    let outcome = runner.run(&cases, |(require_verified, steps, link)| {
        runtime.block_on(run(require_verified, &steps, link));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The worst order of each kind, always run.
#[tokio::test]
async fn account_takeover_a_factor_and_sessions_of_an_attacker_end_by_each_link() {
    for link in [Link::Verify, Link::Reset, Link::Unlock] {
        let steps = [
            Step::AttackerRegisters,
            Step::AttackerLogsIn,
            Step::AttackerEnrolsFactor,
            Step::AttackerLogsIn,
            Step::OwnerRegisters,
            Step::AttackerChangesPassword,
            Step::AttackerLogsIn,
            Step::AttackerRegisters,
        ];
        run(false, &steps, link).await;
    }
}

#[tokio::test]
async fn the_browser_of_the_registration_verifies_without_a_new_password() {
    for require_verified in [true, false] {
        let steps = [Step::OwnerRegisters, Step::AttackerRegisters];
        let mut case = Case::open(require_verified).await;
        for step in steps {
            case.take(step).await;
        }
        assert_eq!(case.owner_chose, Some(true));
        let (password, device) = case.prove(Link::Verify).await;
        assert_eq!(password, OWNERS);
        case.check(password, &device).await;
    }
}

#[tokio::test]
async fn a_second_registration_of_an_unverified_address_mails_a_new_verification_link() {
    let mut case = Case::open(true).await;
    case.take(Step::AttackerRegisters).await;
    case.deliver().await;
    let first = case.last("/email/verify#");
    case.take(Step::OwnerRegisters).await;
    case.deliver().await;
    let second = case.last("/email/verify#");
    assert_ne!(first.token(), second.token());
    assert_eq!(first.subject, second.subject);
    let (password, _device) = case.verify().await;
    assert_eq!(password, CHOSEN);
    case.take(Step::OwnerRegisters).await;
    case.deliver().await;
    let notice = letters(&case.folder).pop().expect("a mail");
    assert!(notice.subject.contains("already have"), "{notice:?}");
    assert!(
        !notice.text.contains('#'),
        "a verified account gets no link"
    );
}

#[tokio::test]
async fn enumeration_each_registration_sets_a_cookie_of_the_same_form() {
    let case = Case::open(true).await;
    let mut cookies = vec![];
    for _ in 0..2 {
        let reply = case.peer.register(EMAIL, OWNERS).await;
        let lines = reply.headers.get_all("set-cookie").iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().expect("ASCII")).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=86400"),
            "{lines:?}"
        );
        let user_id = reply.json["user_id"].as_str().expect("a user ID");
        let cookie = reply.cookie(REGISTRATION_COOKIE).expect("a cookie");
        assert_eq!(cookie.split('.').nth(1), Some(user_id));
        cookies.push(lines[0].len());
    }
    assert_eq!(cookies[0], cookies[1]);
    let rejected = case.peer.register(EMAIL, "short").await;
    assert_eq!(rejected.cookie(REGISTRATION_COOKIE), None);
}

#[tokio::test]
async fn a_new_password_is_screened_and_hashed_only_for_a_valid_link() {
    let mut case = Case::open(true).await;
    case.take(Step::AttackerRegisters).await;
    case.deliver().await;
    let letter = case.last("/email/verify#");
    let runs = case.peer.host.hasher.runs();
    let verify = async |token: &str, password: &str| {
        let body = json!({"token": token, "new_password": password});
        case.peer.post("/v1/email/verify", &body).await
    };
    for guess in ["", "x", "u1.AAAA", &letter.token().replace('.', ".A")] {
        is_problem(&verify(guess, CHOSEN).await, 400, "bad_mail_token");
    }
    let short = verify(letter.token(), "short").await;
    assert_eq!((short.status, short.code()), (400, "password_too_short"));
    let listed = verify(letter.token(), "ann@example.com and me").await;
    assert_eq!(
        (listed.status, listed.code()),
        (400, "password_contains_address")
    );
    assert_eq!(case.peer.host.hasher.runs(), runs);
    for password in [CHOSEN, OWNERS, ATTACKERS].map(|password| verify(letter.token(), password)) {
        let reply = password.await;
        let expected = if case.peer.host.hasher.runs() == runs + 1 && reply.status == 204 {
            204
        } else {
            400
        };
        assert_eq!(reply.status, expected, "{reply:?}");
    }
    let _ = token(&case.peer.login(EMAIL, CHOSEN).await);
}

#[tokio::test]
async fn a_verification_link_opened_twice_concurrently_sets_one_password() {
    let mut case = Case::open(true).await;
    case.take(Step::AttackerRegisters).await;
    case.deliver().await;
    let letter = case.last("/email/verify#");
    let passwords = [CHOSEN, OWNERS, "the third long password"];
    let races = passwords.map(|password| {
        let body = json!({"token": letter.token(), "new_password": password});
        let peer = case.peer.clone();
        async move { peer.post("/v1/email/verify", &body).await }
    });
    let replies = futures_util::future::join_all(races).await;
    let done = replies.iter().filter(|reply| reply.status == 204).count();
    let refused = replies
        .iter()
        .filter(|reply| reply.code() == "bad_mail_token")
        .count();
    assert_eq!((done, refused), (1, 2), "{replies:?}");
    let mut admitted = 0;
    for password in passwords {
        admitted += usize::from(case.peer.login(EMAIL, password).await.status == 200);
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn a_registration_cookie_of_another_account_keeps_no_password() {
    let mut case = Case::open(true).await;
    case.take(Step::AttackerRegisters).await;
    case.deliver().await;
    let letter = case.last("/email/verify#");
    let other = case.peer.register("bob@example.com", OWNERS).await;
    let other = other.cookie(REGISTRATION_COOKIE).expect("a cookie");
    let ours = case.peer.register(EMAIL, OWNERS).await;
    let decoy = ours.cookie(REGISTRATION_COOKIE).expect("a cookie");
    let user_id = letter.token().split('.').next().expect("a user ID");
    let created = case.peer.registration_cookie(user_id).expect("a cookie");
    let forged = decoy.replacen(decoy.split('.').nth(1).expect("an id"), user_id, 1);
    for cookie in [other, decoy, forged] {
        let cookie = format!("{REGISTRATION_COOKIE}={cookie}");
        let body = json!({"token": letter.token()});
        let reply = case
            .peer
            .post_with("/v1/email/verify", &body, &cookie)
            .await;
        is_problem(&reply, 409, "new_password_required");
    }
    // Its end is checked by the host, not only by the browser. A new mail has a valid link then.
    case.system.clock.pass(24 * 60 * 60);
    let body = json!({"email": EMAIL});
    assert_eq!(case.peer.post("/v1/email/resend", &body).await.status, 202);
    case.deliver().await;
    let letter = case.last("/email/verify#");
    let body = json!({"token": letter.token()});
    let cookie = format!("{REGISTRATION_COOKIE}={created}");
    let reply = case
        .peer
        .post_with("/v1/email/verify", &body, &cookie)
        .await;
    is_problem(&reply, 409, "new_password_required");
}

#[tokio::test]
async fn an_imported_account_with_an_unverified_address_needs_a_new_password() {
    let case = Case::open(true).await;
    let lines = include_str!("../vectors/passwords/hashes.jsonl");
    let line: serde_json::Value =
        serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let host = &case.peer.host;
    let now = host.clock.read().expect("a time");
    let meta = RequestMeta {
        now,
        request_id: Id::parse("r1").expect("an id"),
        client_address: String::new(),
    };
    let store = host.store(now);
    let ctx = host.ctx(&store, &meta).await.expect("a context");
    let request = ImportRequest {
        email: EmailAddress::parse(EMAIL).expect("an address"),
        password: PasswordHash::parse(line["hash"].as_str().expect("a hash")).expect("a hash"),
        verified_at: None,
        user_id: None,
    };
    let outcome = import(&request, &host.hasher.with(ctx.root_keys, ""), ctx).await;
    assert!(matches!(
        outcome.expect("an end"),
        ImportOutcome::Imported(_)
    ));

    let owner = case.peer.register(EMAIL, OWNERS).await;
    let cookie = owner.cookie(REGISTRATION_COOKIE).expect("a cookie");
    let cookie = format!("{REGISTRATION_COOKIE}={cookie}");
    case.deliver().await;
    let letter = case.last("/email/verify#");
    let body = json!({"token": letter.token()});
    let reply = case
        .peer
        .post_with("/v1/email/verify", &body, &cookie)
        .await;
    is_problem(&reply, 409, "new_password_required");
    let body = json!({"token": letter.token(), "new_password": CHOSEN});
    let reply = case
        .peer
        .post_with("/v1/email/verify", &body, &cookie)
        .await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let _ = token(&case.peer.login(EMAIL, CHOSEN).await);
    let old = line["password"].as_str().expect("a password");
    is_problem(&case.peer.login(EMAIL, old).await, 401, "bad_credentials");
}

#[tokio::test]
async fn account_takeover_a_folded_spelling_registers_no_other_address() {
    let case = Case::open(true).await;
    for spelling in [
        "\u{212a}ate@example.com",
        "\u{1fef}kate@example.com",
        "jose\u{301}@example.com",
        // Needs SMTPUTF8.
        "jos\u{e9}@example.com",
        "k\u{130}te@example.com",
    ] {
        let reply = case.peer.register(spelling, OWNERS).await;
        is_problem(&reply, 400, "bad_email");
    }
    let rows = case.system.rows("Portcullis", "USER#").await;
    assert!(rows.expect("rows").is_empty());
    // An internationalised domain needs no SMTPUTF8.
    let reply = case.peer.register("kate@b\u{fc}cher.example", OWNERS).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    // Mail goes to the spelling that was typed.
    let reply = case.peer.register("Kate@Example.com", OWNERS).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    case.deliver().await;
    let letters = letters(&case.folder);
    let mut addressees: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    addressees.sort_unstable();
    assert_eq!(
        addressees,
        ["Kate@example.com", "kate@xn--bcher-kva.example"]
    );
}

#[tokio::test]
async fn a_local_part_beyond_ascii_is_accepted_if_the_mailer_supports_smtputf8() {
    let case = Case::open(true).await;
    let changes = [("PORTCULLIS_SMTPUTF8", "on")];
    let peer = case.system.another(CHEAP, &changes).await.expect("a host");
    let reply = peer.register("jos\u{e9}@example.com", OWNERS).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    for spelling in ["jose\u{301}@example.com", "\u{212a}ate@example.com"] {
        is_problem(&peer.register(spelling, OWNERS).await, 400, "bad_email");
    }
}

/// Earlier versions folded `\u{212a}ate@` to `kate@` and sent mail to the undeliverable spelling.
#[tokio::test]
async fn the_owner_of_an_address_that_a_folded_spelling_took_gets_it_back() {
    let case = Case::open(true).await;
    let email = "kate@example.com";
    let reply = case.peer.register(email, ATTACKERS).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let folded = json!({
        "TableName": "Portcullis",
        "Key": {"PK": {"S": "USER#kate@example.com"}, "SK": {"S": "PROFILE"}},
        "UpdateExpression": "SET #email = :typed",
        "ExpressionAttributeNames": {"#email": "email"},
        "ExpressionAttributeValues": {":typed": {"S": "\u{212a}ate@example.com"}},
    });
    let changed = case.system.engine_call("UpdateItem", &folded).await;
    let _ = changed.expect("changed");
    let body = json!({"email": email});
    assert_eq!(
        case.peer.post("/v1/password/forgot", &body).await.status,
        202
    );
    case.deliver().await;
    let letter = case.last("/password/reset#");
    assert_eq!(letter.to, email);
    let body = json!({"token": letter.token(), "new_password": CHOSEN});
    let reply = case.peer.post("/v1/password/reset", &body).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let _ = token(&case.peer.login(email, CHOSEN).await);
    is_problem(
        &case.peer.login(email, ATTACKERS).await,
        401,
        "bad_credentials",
    );
}
