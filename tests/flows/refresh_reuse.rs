//! Token families under any interleaving: racing hosts, lost responses, repeated requests and an
//! attacker, on the real engine and a controlled clock.

use futures_util::future::join_all;
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, Peer, Reply, System};

use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, token, with_account};

/// A small generator (splitmix64): the interleavings are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The generation of a refresh token.
fn generation(token: &str) -> u64 {
    let part = token.split('.').nth(1).expect("a generation");
    part.parse().expect("a number")
}

/// Any fault of a call that a retry repairs.
fn fault(dice: &mut Dice) -> Option<(&'static str, Fault)> {
    let operation = ["TransactWriteItems", "BatchGetItem", "GetItem"][dice.below(3) as usize];
    let fault = match dice.below(6) {
        0 => Fault::LostAnswer,
        1 => Fault::LostRequest,
        2 => Fault::HalfAnswer,
        3 => Fault::Refused(500, "InternalServerError"),
        _ => return None,
    };
    Some((operation, fault))
}

/// One burst of the same token at several hosts, under faults. A client without a response retries
/// once, within the window.
async fn burst(system: &System, hosts: &[Peer], token: &str, dice: &mut Dice) -> Vec<Reply> {
    for _fault in 0..dice.below(4) {
        if let Some((operation, fault)) = fault(dice) {
            // The client retries one failure; a third failure is returned.
            let times = if dice.below(2) == 0 { 1 } else { 3 };
            system.proxy.inject_often(operation, &fault, times);
        }
    }
    let racers = 1 + dice.below(6) as usize;
    let calls = (0..racers).map(|place| refresh(&hosts[place % hosts.len()], token));
    let mut replies = join_all(calls).await;
    system.proxy.heal();
    if replies.iter().any(|reply| reply.status == 503) {
        // So many failures in a row may have opened a host's circuit breaker.
        system.clock.pass(2);
    }
    for reply in &mut replies {
        if reply.status == 503 {
            *reply = refresh(&hosts[0], token).await;
        }
    }
    replies
}

/// The stored state of the session of `access`: the generation of its current token, if it is
/// active.
async fn head(system: &System, access: &str) -> Option<u64> {
    let sid = claims(access)["sid"].clone();
    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let mut sessions = rows.iter().filter(|row| row["session_id"] == sid);
    let head = sessions
        .next()
        .map(|row| row["refresh_generation"].as_u64().expect("a number"));
    assert!(sessions.next().is_none(), "a family has one head");
    head
}

async fn story(seed: u64) {
    let mut dice = Dice(seed);
    let system = with_account().await;
    // The clock hardly moves: so many refreshes at once exceed a session's limit.
    let off = [("PORTCULLIS_LIMITS", "refresh_session=off")];
    let first = system.another(CHEAP, &off).await.expect("a host");
    let other = system.another(CHEAP, &off).await.expect("a host");
    let third = system.another(CHEAP, &off).await.expect("a host");
    let hosts = [first, other, third];
    let login = hosts[0].login(EMAIL, PASSWORD).await;
    let access = token(&login);
    let mut spent: Vec<String> = vec![];
    let mut good = refresh_token(&login);
    for turn in 0..4 {
        // After the grace window of the current token, so that it is used now.
        system.clock.pass(10 + dice.below(100));
        let before = generation(&good);
        let replies = burst(&system, &hosts, &good, &mut dice).await;
        let next = refresh_token(&replies[0]);
        for reply in &replies {
            // No client within the window is logged out, and all hold the same token.
            assert_eq!(refresh_token(reply), next, "seed {seed}, turn {turn}");
        }
        assert_eq!(generation(&next), before + 1, "seed {seed}, turn {turn}");
        assert_eq!(
            head(&system, &access).await,
            Some(before + 1),
            "seed {seed}"
        );
        // Within the window both refresh again, as two tabs do.
        system.clock.pass(dice.below(4));
        for again in [&good, &next] {
            let replies = burst(&system, &hosts, again, &mut dice).await;
            for reply in &replies {
                assert_eq!(refresh_token(reply), next, "seed {seed}, turn {turn}");
            }
        }
        spent.push(std::mem::replace(&mut good, next));
    }
    // The attacker or the victim comes late with a used token.
    system.clock.pass(10);
    let stolen = &spent[dice.below(spent.len() as u64) as usize];
    let late = hosts[dice.below(3) as usize].clone();
    let (late, racing) = futures_util::join!(refresh(&late, stolen), refresh(&hosts[0], &good));
    assert_eq!(late.code(), "refresh_reused", "seed {seed}: {late:?}");
    assert_eq!(head(&system, &access).await, None, "seed {seed}");
    // Whatever the race's outcome, no token of the family is valid any more.
    let mut all = spent;
    all.push(good);
    if racing.status == 200 {
        all.push(refresh_token(&racing));
    }
    for token in &all {
        let reply = refresh(&hosts[1], token).await;
        assert_eq!(reply.code(), "session_over", "seed {seed}: {reply:?}");
    }
    let sid = claims(&access)["sid"].as_str().expect("sid").to_owned();
    let revoked = system
        .rows("TokenBlacklist", &format!("SESSION#{sid}"))
        .await;
    assert_eq!(revoked.expect("rows").len(), 1, "seed {seed}");
}

#[tokio::test]
async fn no_interleaving_forks_a_family_logs_out_a_racer_or_misses_refresh_reuse() {
    for seed in 0..12 {
        story(seed).await;
    }
}
