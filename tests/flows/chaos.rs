//! Whatever the wire does, no answer is wrong: it is the right one, or 503 with a time to come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use portcullis_local::chaos::Chaos;
use portcullis_tests::system::{Reply, System};
use serde_json::Value;

use crate::refresh::{refresh, refresh_token};
use crate::{PASSWORD, token};

const WRONG: &str = "wrong horse battery";

/// How many people live at once.
const PEOPLE: usize = 8;

/// How often somebody comes back at the most. A spent refresh token may come again within ten
/// seconds, and each round takes one.
const ROUNDS: usize = 9;

/// How long the host waits for its store, and the silence that is longer.
const TIMEOUT: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_millis(600);

fn email(person: usize) -> String {
    format!("person{person}@example.com")
}

/// What each person is told once it is not 503. All ask at once; each 503 names a time, and once
/// all are answered the clock goes on by the longest.
async fn at_last<F: Future<Output = Reply>>(
    system: &System,
    ask: impl Fn(usize) -> F,
) -> Vec<Reply> {
    let mut told: BTreeMap<usize, Reply> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let waiting: Vec<_> = (0..PEOPLE).filter(|it| !told.contains_key(it)).collect();
        let replies = join_all(waiting.iter().map(|person| ask(*person))).await;
        let mut pause = 0;
        for (person, reply) in waiting.into_iter().zip(replies) {
            if reply.status == 503 {
                let wait = reply.header("retry-after").parse::<u64>();
                pause = pause.max(wait.expect("a 503 says when to come back"));
            } else {
                told.insert(person, reply);
            }
        }
        if told.len() == PEOPLE {
            return told.into_values().collect();
        }
        system.clock.pass(pause);
    }
    panic!("nothing but 503, again and again: {told:?}")
}

/// A day of some people, under whatever `chaos` does meanwhile.
async fn live(system: &System) {
    let peer = &system.peer();
    let replies = at_last(system, async |it| peer.register(&email(it), PASSWORD).await).await;
    for reply in replies {
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    let replies = at_last(system, async |it| peer.login(&email(it), WRONG).await).await;
    for reply in replies {
        assert_eq!((reply.status, reply.code()), (401, "bad_credentials"));
    }
    let mut replies = at_last(system, async |it| peer.login(&email(it), PASSWORD).await).await;
    for _turn in 0..3 {
        // Past the window in which a spent token may come again.
        system.clock.pass(20);
        let spent = &replies;
        replies = at_last(system, async |it| {
            refresh(peer, &refresh_token(&spent[it])).await
        })
        .await;
    }
    let last = &replies;
    let replies = at_last(system, async |it| peer.logout(&token(&last[it])).await).await;
    for reply in replies {
        assert_eq!(reply.status, 204, "{reply:?}");
    }
    // What was acknowledged holds, for this token and for the session's others.
    let replies = at_last(system, async |it| {
        refresh(peer, &refresh_token(&last[it])).await
    })
    .await;
    for reply in replies {
        assert_eq!(reply.status, 400, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_chaos_no_answer_is_wrong_and_afterwards_all_is_well() {
    let mut met: BTreeMap<_, u64> = BTreeMap::new();
    for seed in 1..=3 {
        let system = System::with_patience(TIMEOUT).await.expect("a system");
        let chaos = Arc::new(Chaos::new(seed).with_silence(SILENCE));
        system.proxy.unleash(&chaos);
        live(&system).await;
        for (mishap, count) in chaos.counts() {
            *met.entry(mishap).or_default() += count;
        }

        chaos.set_calm(true);
        system.clock.pass(2);
        let peer = system.peer();
        let email_of_another = "afterwards@example.com";
        assert_eq!(peer.register(email_of_another, PASSWORD).await.status, 201);
        let held = token(&peer.login(email_of_another, PASSWORD).await);
        assert_eq!(peer.logout(&held).await.status, 204);
        for person in 0..PEOPLE {
            token(&peer.login(&email(person), PASSWORD).await);
        }
        // Nobody's registration was made twice, and each has its line.
        let users = system.rows("Portcullis", "USER#").await.expect("rows");
        let profiles = users.iter().filter(|row| row["SK"] == "PROFILE");
        assert_eq!(profiles.count(), PEOPLE + 1);
        let lines = system.rows("Portcullis", "AUDIT#").await.expect("rows");
        let registered =
            |line: &&Value| line["action"] == "register" && line["outcome"] == "success";
        assert_eq!(lines.iter().filter(registered).count(), PEOPLE + 1);
    }
    assert!(met.values().all(|count| *count > 0), "too tame: {met:?}");
}
