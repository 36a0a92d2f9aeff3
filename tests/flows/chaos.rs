//! Whatever the wire does, no answer is wrong: it is the right one, or 503 with a time to come back.

use std::sync::Arc;

use portcullis_local::chaos::Chaos;
use portcullis_tests::system::{Reply, System};

use crate::refresh::{refresh, refresh_token};
use crate::{PASSWORD, token};

const WRONG: &str = "wrong horse battery";

/// What `ask` gives once it is not 503. Each 503 names a time, and the clock goes by it.
async fn at_last(system: &System, ask: impl AsyncFn() -> Reply) -> Reply {
    let mut last = None;
    for _ in 0..60 {
        let reply = ask().await;
        if reply.status != 503 {
            return reply;
        }
        let wait = reply.header("retry-after").parse::<u64>();
        system
            .clock
            .pass(wait.expect("a 503 says when to come back"));
        last = Some(reply);
    }
    panic!("nothing but 503, again and again: {last:?}")
}

/// One person's day, under whatever `chaos` does meanwhile.
async fn live(system: &System, email: &str) {
    let peer = system.peer();
    let reply = at_last(system, async || peer.register(email, PASSWORD).await).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let reply = at_last(system, async || peer.login(email, WRONG).await).await;
    assert_eq!((reply.status, reply.code()), (401, "bad_credentials"));
    let login = at_last(system, async || peer.login(email, PASSWORD).await).await;
    let mut last = token(&login);
    let mut next = refresh_token(&login);
    for _turn in 0..3 {
        // Past the window in which a spent token may come again; a repetition stays within it,
        // since the clock moves by a second for each 503.
        system.clock.pass(20);
        let reply = refresh(&peer, &next).await;
        if reply.status == 503 {
            let reply = refresh(&peer, &next).await;
            assert!([200, 503].contains(&reply.status), "{reply:?}");
            if reply.status == 503 {
                continue;
            }
            (last, next) = (token(&reply), refresh_token(&reply));
            continue;
        }
        (last, next) = (token(&reply), refresh_token(&reply));
    }
    let reply = at_last(system, async || peer.logout(&last).await).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    // What was acknowledged holds, for this token and for the session's others.
    let reply = at_last(system, async || refresh(&peer, &next).await).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn under_chaos_no_answer_is_wrong_and_afterwards_all_is_well() {
    for seed in 1..=3 {
        let system = System::start().await.expect("a system");
        let chaos = Arc::new(Chaos::new(seed));
        system.proxy.unleash(&chaos);
        for number in 0..8 {
            live(&system, &format!("person{number}@example.com")).await;
        }
        let counts = chaos.counts();
        assert!(counts.len() >= 7, "seed {seed} was tame: {counts:?}");

        chaos.set_calm(true);
        system.clock.pass(2);
        let peer = system.peer();
        let email = "afterwards@example.com";
        assert_eq!(peer.register(email, PASSWORD).await.status, 201);
        let held = token(&peer.login(email, PASSWORD).await);
        assert_eq!(peer.logout(&held).await.status, 204);
        for number in 0..8 {
            let email = format!("person{number}@example.com");
            token(&peer.login(&email, PASSWORD).await);
        }
        // Every change has its line, and nobody's registration was made twice.
        let users = system.rows("Portcullis", "USER#").await.expect("rows");
        let profiles = users.iter().filter(|row| row["SK"] == "PROFILE");
        assert_eq!(profiles.count(), 9);
    }
}
