//! Rate limits: the conditional write on the real engine agrees with the rule, also under races.

use core::time::Duration;

use futures_util::future::join_all;
use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::limit::fixed_window::FixedWindow;
use portcullis_core::limit::kind::{LimitKind, MAX_FAILURES};
use portcullis_core::limit::sliding_window::SlidingWindow;
use portcullis_core::limit::{Attempt, LimitDecision, Quota};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Bucket, BucketGroup, Counted, LimitAdminStore as _, LimitStore as _,
};
use proptest::prelude::*;
use serde_json::json;

use crate::engine::{Engine, NOON, event, row, store};
use crate::wire::Fault;

fn bucket(scope: LimitKind, attempts: u32, seconds: u64) -> Bucket {
    Bucket {
        scope,
        quota: Quota::of(attempts, Duration::from_secs(seconds)),
        name: "2thCUY5jiJa8iP5o_7Kc2g".to_owned(),
        group: None,
    }
}

fn at(second: u64, tag: u32) -> Attempt {
    Attempt::new(UnixTime::from_secs(NOON.as_secs() + second), tag)
}

const PASSES: Counted = Counted {
    decision: LimitDecision::Allow,
    is_first_refusal: false,
    is_half_used: false,
};

fn waits(seconds: u64, is_first_refusal: bool) -> Counted {
    Counted {
        decision: LimitDecision::RetryAfter(Duration::from_secs(seconds)),
        is_first_refusal,
        is_half_used: false,
    }
}

#[tokio::test]
async fn sixty_four_attackers_on_four_hosts_never_exceed_a_quota() {
    for bucket in [
        bucket(LimitKind::LoginEmail, 10, 3_600),
        bucket(LimitKind::LoginAddress, 40, 3_600),
    ] {
        let engine = Engine::start().await;
        let hosts: Vec<_> = (0..4).map(|_| engine.client()).collect();
        let mut passed = Vec::new();
        // The hosts have slightly different clocks, and each wave comes later.
        for wave in 0..6_u64 {
            let attackers = (0..64_u32).map(|attacker| {
                let host = &hosts[usize::try_from(attacker % 4).unwrap()];
                let second = wave * 1_500 + u64::from(attacker % 4);
                let (bucket, tag) = (&bucket, attacker);
                async move {
                    let attempt = at(second, tag);
                    let counted = store(host).count(bucket, attempt).await.unwrap();
                    (second, counted.decision == LimitDecision::Allow)
                }
            });
            let ends = join_all(attackers).await.into_iter();
            passed.extend(ends.filter(|(_, passes)| *passes).map(|(second, _)| second));
        }
        let quota = usize::try_from(bucket.quota.attempts()).unwrap();
        for start in &passed {
            let within = passed
                .iter()
                .filter(|second| (*start..start + 3_600).contains(second));
            assert!(within.count() <= quota, "{:?}", bucket.scope);
        }
        assert!(
            passed.len() >= 2 * quota,
            "the whole quota is available in each hour"
        );
    }
}

#[tokio::test]
async fn the_retry_delay_is_exact_and_the_first_rejection_is_reported_once() {
    let engine = Engine::start().await;
    let (client, other) = (engine.client(), engine.client());
    let bucket = bucket(LimitKind::RegisterEmail, 2, 60);
    for (attempt, counted) in [
        (at(0, 1), PASSES),
        (at(10, 2), PASSES),
        (at(15, 3), waits(45, true)),
        (at(20, 4), waits(40, false)),
        (at(59, 5), waits(1, false)),
        (at(60, 6), PASSES),
        (at(69, 7), waits(1, false)),
        (at(70, 8), PASSES),
        (at(75, 9), waits(45, true)),
    ] {
        assert_eq!(
            store(&client).count(&bucket, attempt).await.unwrap(),
            counted
        );
        // A retry gets the same result, also on another host.
        assert_eq!(
            store(&other).count(&bucket, attempt).await.unwrap(),
            counted
        );
    }
}

#[tokio::test]
async fn a_hundred_failures_lock_out_and_a_successful_login_resets_the_count() {
    let engine = Engine::start().await;
    let client = engine.client();
    let bucket = bucket(LimitKind::LoginEmail, 10, 1);
    let most = u64::from(MAX_FAILURES);
    for second in 0..most {
        assert_eq!(
            store(&client).count(&bucket, at(second, 1)).await.unwrap(),
            PASSES
        );
    }
    for (second, is_first_refusal) in [(most, true), (most + 100_000, true)] {
        let spent = Counted {
            decision: LimitDecision::LockedOut,
            is_first_refusal,
            is_half_used: false,
        };
        assert_eq!(
            store(&client).count(&bucket, at(second, 1)).await.unwrap(),
            spent
        );
    }
    store(&client)
        .refund(&bucket, at(most - 1, 1))
        .await
        .unwrap();
    assert_eq!(
        store(&client).count(&bucket, at(most, 2)).await.unwrap(),
        PASSES
    );
    let kept = row(
        &client,
        "Portcullis",
        &format!("LIMIT#login_email#{}", bucket.name),
        "WINDOW",
    )
    .await;
    assert_eq!(kept["failures"], json!({"N": "1"}));
}

#[tokio::test]
async fn the_buckets_of_a_group_are_listed_and_cleared_alone() {
    let engine = Engine::start().await;
    let client = engine.client();
    let quota = Quota::of(4, Duration::from_secs(3_600));
    let member = |group: &str, name: &str| Bucket {
        scope: LimitKind::LoginDevice,
        quota,
        name: name.to_owned(),
        group: Some(group.to_owned()),
    };
    let group = |name: &str| BucketGroup {
        scope: LimitKind::LoginDevice,
        quota,
        name: name.to_owned(),
    };
    for (bucket, attempts) in [
        (member("a", "1"), 4),
        (member("a", "2"), 1),
        (member("b", "1"), 2),
    ] {
        for second in 0..attempts {
            let counted = store(&client).count(&bucket, at(second, 1)).await.unwrap();
            assert_eq!(counted, PASSES);
        }
    }
    let list = async |name: &str| {
        let states = store(&client).group_states(&group(name), at(10, 0)).await;
        let states = states.unwrap().into_iter();
        let shown = states.map(|(bucket, state)| {
            (
                bucket,
                state.used,
                state.failures,
                state.decision == LimitDecision::Allow,
            )
        });
        shown.collect::<Vec<_>>()
    };
    let expected = [
        (member("a", "1"), 4, 4, false),
        (member("a", "2"), 1, 1, true),
    ];
    assert_eq!(list("a").await, expected);
    assert_eq!(list("b").await, [(member("b", "1"), 2, 2, true)]);
    assert_eq!(list("c").await, []);
    let state = store(&client)
        .bucket_state(&member("a", "1"), at(10, 0))
        .await;
    assert_eq!(state.unwrap().map(|state| state.used), Some(4));
    let event = event(AuditKind::Administered(AdminAct::ClearLimits), "r-1");
    store(&client)
        .clear_buckets(&[member("a", "1")], &event)
        .await
        .unwrap();
    assert_eq!(list("a").await, [(member("a", "2"), 1, 1, true)]);
    assert_eq!(list("b").await.len(), 1);
}

#[tokio::test]
async fn an_attempt_is_refunded_after_later_attempts_have_shifted_it() {
    let engine = Engine::start().await;
    let client = engine.client();
    let bucket = bucket(LimitKind::LoginEmail, 4, 3_600);
    for place in 1..=4 {
        assert_eq!(
            store(&client).count(&bucket, at(place, 1)).await.unwrap(),
            PASSES
        );
    }
    for place in [2, 4, 1] {
        assert!(matches!(
            store(&client)
                .count(&bucket, at(60, 7))
                .await
                .unwrap()
                .decision,
            LimitDecision::RetryAfter(_)
        ));
        // A repetition has no effect: the response may have been lost.
        for _again in 0..2 {
            store(&client).refund(&bucket, at(place, 1)).await.unwrap();
        }
        assert_eq!(
            store(&client)
                .count(&bucket, at(50, u32::try_from(place).unwrap()))
                .await
                .unwrap(),
            PASSES
        );
    }
    // A missing attempt refunds no other attempt.
    store(&client).refund(&bucket, at(900, 1)).await.unwrap();
    assert!(matches!(
        store(&client)
            .count(&bucket, at(61, 8))
            .await
            .unwrap()
            .decision,
        LimitDecision::RetryAfter(_)
    ));
}

#[tokio::test]
async fn an_attempt_with_a_lost_response_is_counted_once() {
    for scope in [LimitKind::LoginEmail, LimitKind::LoginAddress] {
        let engine = Engine::start().await;
        let client = engine.client();
        let attempts = if scope.max_consecutive_failures().is_some() {
            2
        } else {
            34
        };
        let bucket = bucket(scope, attempts, 60);
        for tag in 0..attempts {
            client.transport().order([Fault::LoseAnswer]);
            assert_eq!(
                store(&client).count(&bucket, at(0, tag)).await.unwrap(),
                PASSES
            );
        }
        let refused = store(&client).count(&bucket, at(0, 99)).await.unwrap();
        assert_ne!(refused.decision, LimitDecision::Allow);
    }
}

#[tokio::test]
async fn a_rate_limit_attempt_costs_one_write_unit_however_full_its_row() {
    for (bucket, most) in [
        (bucket(LimitKind::LoginEmail, 32, 3_600), 32),
        (bucket(LimitKind::LoginAddress, 1_000_000, 3_600), 40),
    ] {
        let engine = Engine::start().await;
        let client = engine.client();
        for tag in 0..most {
            let before = client.consumed();
            // One attempt in each span: the maximum number of attributes.
            let second = if bucket.quota.is_exact() {
                0
            } else {
                u64::from(tag) * 3_600
            };
            assert_eq!(
                store(&client)
                    .count(&bucket, at(second, tag))
                    .await
                    .unwrap(),
                PASSES
            );
            assert_eq!(client.consumed().since(before).write_halves, 2, "{tag}");
        }
    }
    // A refund costs the same.
    let engine = Engine::start().await;
    let client = engine.client();
    let bucket = bucket(LimitKind::LoginEmail, 32, 3_600);
    for tag in 0..32 {
        let _ = store(&client).count(&bucket, at(0, tag)).await.unwrap();
    }
    let before = client.consumed();
    store(&client).refund(&bucket, at(0, 31)).await.unwrap();
    assert_eq!(client.consumed().since(before).write_halves, 2);
}

/// The steps of one bucket.
fn steps() -> impl Strategy<Value = Vec<(u64, bool)>> {
    prop::collection::vec((0_u64..40, any::<bool>()), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn the_engine_agrees_with_the_sliding_window_rule(attempts in 1_u32..=6, steps in steps()) {
        let bucket = bucket(LimitKind::LoginEmail, attempts, 100);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = Engine::start().await;
            let client = engine.client();
            let (mut window, mut now) = (SlidingWindow::default(), 0);
            for (tag, (step, good)) in steps.into_iter().enumerate() {
                now += step;
                let attempt = at(now, u32::try_from(tag).unwrap());
                let decision = window.check(bucket.quota, bucket.scope.max_consecutive_failures(), attempt);
                let counted = store(&client).count(&bucket, attempt).await.unwrap();
                assert_eq!(counted.decision, decision);
                if decision == LimitDecision::Allow {
                    window = window.shift(bucket.quota, attempt);
                    if good {
                        window = window.refund(attempt);
                        store(&client).refund(&bucket, attempt).await.unwrap();
                    }
                }
            }
        });
    }

    #[test]
    fn the_engine_agrees_with_the_fixed_window_rule(steps in steps()) {
        let bucket = bucket(LimitKind::LoginAddress, 33, 100);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = Engine::start().await;
            let client = engine.client();
            let (mut window, mut now, mut tag) = (FixedWindow::default(), 0, 0);
            for (step, long) in steps {
                now += if long { step * 9 } else { step };
                for _each in 0..5 {
                    tag += 1;
                    let decision = window.check(bucket.quota, at(now, tag));
                    let counted = store(&client).count(&bucket, at(now, tag)).await.unwrap();
                    assert_eq!(counted.decision, decision);
                    if decision == LimitDecision::Allow {
                        let (quota, attempt) = (bucket.quota, at(now, tag));
                        window = window.count(quota, attempt);
                        let half = window.is_half_used(quota, attempt.at());
                        assert_eq!(counted.is_half_used, half);
                        if tag % 3 == 0 {
                            window = window.refund(quota, attempt);
                            // A retry of the refund changes nothing.
                            store(&client).refund(&bucket, attempt).await.unwrap();
                            store(&client).refund(&bucket, attempt).await.unwrap();
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn a_refund_in_a_fixed_window_is_applied_once_and_never_reaches_the_next_window() {
    let engine = Engine::start().await;
    let client = engine.client();
    let bucket = bucket(LimitKind::LoginAddress, 40, 100);
    let count = async |second, tag| {
        let counted = store(&client).count(&bucket, at(second, tag)).await;
        counted.unwrap().decision == LimitDecision::Allow
    };
    let refund = async |second, tag| {
        let refunded = store(&client).refund(&bucket, at(second, tag)).await;
        refunded.unwrap();
    };
    for tag in 0..40 {
        assert!(count(10, tag).await);
    }
    assert!(!count(10, 40).await, "full");
    for _retry in 0..3 {
        refund(10, 7).await;
    }
    assert!(count(11, 41).await, "one place is free");
    assert!(!count(11, 42).await, "and only one");
    // The next window has begun to count: the attempts of this one stay counted.
    refund(11, 41).await;
    assert!(count(100, 43).await);
    refund(10, 8).await;
    assert!(!count(101, 44).await);
}
