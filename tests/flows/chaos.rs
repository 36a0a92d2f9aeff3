//! Under network faults every response is right, or a 503 with a `Retry-After`.

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

/// The number of concurrent users.
const PEOPLE: usize = 8;

/// The maximum number of retries. A used refresh token may be reused within ten seconds, and each
/// round takes one second.
const ROUNDS: usize = 9;

/// The host's store timeout, and a silence that is longer.
const TIMEOUT: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_millis(600);

fn email(person: usize) -> String {
    format!("person{person}@example.com")
}

/// The final response to each user after all 503. All send at once; each 503 has a `Retry-After`,
/// and the clock then advances by the longest.
async fn at_last<F: Future<Output = Reply>>(
    system: &System,
    ask: impl Fn(usize) -> F,
) -> Vec<Reply> {
    let mut reported: BTreeMap<usize, Reply> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let waiting: Vec<_> = (0..PEOPLE)
            .filter(|it| !reported.contains_key(it))
            .collect();
        let replies = join_all(waiting.iter().map(|person| ask(*person))).await;
        let mut pause = 0;
        for (person, reply) in waiting.into_iter().zip(replies) {
            if reply.status == 503 {
                let wait = reply.header("retry-after").parse::<u64>();
                pause = pause.max(wait.expect("a 503 has a Retry-After"));
            } else {
                reported.insert(person, reply);
            }
        }
        if reported.len() == PEOPLE {
            return reported.into_values().collect();
        }
        system.clock.pass(pause);
    }
    panic!("only 503, again and again: {reported:?}")
}

/// A day of some users, under the faults of `chaos`.
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
        // After the grace window of a used token.
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
    // Acknowledged changes hold, for this token and for the other tokens of the session.
    let replies = at_last(system, async |it| {
        refresh(peer, &refresh_token(&last[it])).await
    })
    .await;
    for reply in replies {
        assert_eq!(reply.status, 400, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_chaos_every_response_is_right_or_503_and_the_system_recovers() {
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
        // Every registration happened once, and each has its entry.
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
