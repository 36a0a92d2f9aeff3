//! Revocations are found by the token's identifiers and in the feed.

use core::time::Duration;

use portcullis_aws::dynamodb::store::{DynamoStore, FeedShards};
use portcullis_core::audit::AuditKind;
use portcullis_core::revocation::{Revocation, RevocationTarget, Revocations, TokenIds};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Announced, RevocationStore as _, SessionStore as _};

use crate::engine::{Engine, NOON, event, id, row, rows, store};
use crate::wire::Fault;

const MINUTE: Duration = Duration::from_secs(60);

fn token() -> TokenIds<'static> {
    TokenIds {
        issuer: "https://id.example",
        subject: "u-ada",
        token_id: "t1",
        session_id: Some("s1"),
        generation: Some(3),
        key_id: "k1",
    }
}

fn subject(generation: u64) -> RevocationTarget {
    RevocationTarget::Subject {
        issuer: "https://id.example".to_owned(),
        subject: "u-ada".to_owned(),
        generation,
    }
}

fn until_later(target: RevocationTarget) -> Revocation {
    Revocation {
        target,
        until: NOON.plus(MINUTE),
    }
}

#[tokio::test]
async fn each_kind_of_revocation_is_found_only_by_a_token_it_revokes() {
    for (target, stops) in [
        (RevocationTarget::Token("t1".to_owned()), true),
        (RevocationTarget::Token("t2".to_owned()), false),
        (RevocationTarget::Session("s1".to_owned()), true),
        (RevocationTarget::Session("s2".to_owned()), false),
        (RevocationTarget::Key("k1".to_owned()), true),
        (RevocationTarget::Key("k2".to_owned()), false),
        (subject(4), true),
        (subject(3), false),
    ] {
        let engine = Engine::start().await;
        let client = engine.client();
        let revocation = until_later(target);
        store(&client)
            .end_session(
                &id("s9"),
                core::slice::from_ref(&revocation),
                NOON,
                None,
                &event(AuditKind::LoggedOut, "r1"),
            )
            .await
            .unwrap();
        let known = store(&client).revocations_of(token()).await.unwrap();
        assert_eq!(known.contains(token()), stops, "{revocation:?}");
        let feed = store(&client).feed(NOON, NOON).await.unwrap();
        let followed = Revocations::from_iter(feed.clone());
        assert_eq!(followed.contains(token()), stops, "{revocation:?}");
        assert_eq!(feed, [revocation]);
    }
}

#[tokio::test]
async fn an_expired_revocation_is_not_found_though_its_row_still_exists() {
    let engine = Engine::start().await;
    let client = engine.client();
    let revocation = until_later(RevocationTarget::Token("t1".to_owned()));
    store(&client)
        .end_session(
            &id("s9"),
            &[revocation],
            NOON,
            None,
            &event(AuditKind::LoggedOut, "r1"),
        )
        .await
        .unwrap();
    for (now, stands) in [
        (NOON.plus(MINUTE), false),
        (NOON.plus(MINUTE - SECOND), true),
    ] {
        let later = DynamoStore::at(&client, now);
        let known = later.revocations_of(token()).await.unwrap();
        assert_eq!(known.contains(token()), stands, "{now}");
    }
    let row = row(&client, "TokenBlacklist", "TOKEN#t1", "REVOKED").await;
    assert!(row.is_object());
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_subject_revocation_never_falls_back_to_an_older_generation() {
    let engine = Engine::start().await;
    let client = engine.client();
    let target = |generation| [until_later(subject(generation)), until_later(session())];
    for (generation, request_id) in [(5, "r1"), (4, "r2")] {
        let logged_out = event(AuditKind::LoggedOut, request_id);
        store(&client)
            .end_session(&id("s9"), &target(generation), NOON, None, &logged_out)
            .await
            .unwrap();
    }
    let pk = "SUBJECT#https://id.example#u-ada";
    let kept = row(&client, "TokenBlacklist", pk, "REVOKED").await;
    assert_eq!(kept["generation"]["N"], "5");
    // The second one left its possible writes: its session and its feed rows.
    let other = row(&client, "TokenBlacklist", "SESSION#s1", "REVOKED").await;
    assert_eq!(other["request_id"]["S"], "r2");
    assert_eq!(store(&client).feed(NOON, NOON).await.unwrap().len(), 4);
}

fn session() -> RevocationTarget {
    RevocationTarget::Session("s1".to_owned())
}

#[tokio::test]
async fn the_feed_returns_all_rows_stamped_within_the_span_of_several_minutes() {
    let engine = Engine::start().await;
    let client = engine.client();
    let stamps = [0, 59, 60, 61, 119, 180].map(|secs| NOON.plus(Duration::from_secs(secs)));
    for stamp in stamps {
        let target = RevocationTarget::Token(stamp.to_string());
        store(&client)
            .announce(&[until_later(target)], stamp, &id("r1"))
            .await
            .unwrap();
    }
    let within = async |from: u64, to: u64| {
        let at = |secs| NOON.plus(Duration::from_secs(secs));
        let feed = store(&client).feed(at(from), at(to)).await.unwrap();
        feed.into_iter()
            .filter_map(|revocation| {
                let RevocationTarget::Token(stamp) = revocation.target else {
                    return None;
                };
                Some(stamp)
            })
            .collect::<Vec<_>>()
    };
    let expected = |places: &[usize]| -> Vec<String> {
        places
            .iter()
            .map(|place| stamps[*place].to_string())
            .collect()
    };
    assert_eq!(within(0, 180).await, expected(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(within(59, 60).await, expected(&[1, 2]));
    assert_eq!(within(1, 58).await, expected(&[]));
    assert_eq!(within(61, 179).await, expected(&[3, 4]));
    assert_eq!(within(181, 600).await, expected(&[]));
}

#[tokio::test]
async fn a_feed_longer_than_one_page_is_read_completely() {
    let engine = Engine::start().await;
    let client = engine.client();
    let issuer = "i".repeat(4_000);
    // Also more than fits into one transaction.
    for batch in 0..2 {
        let revocations: Vec<_> = (0..300)
            .map(|place| {
                until_later(RevocationTarget::Subject {
                    issuer: issuer.clone(),
                    subject: format!("{batch}-{place}"),
                    generation: 1,
                })
            })
            .collect();
        store(&client)
            .announce(&revocations, NOON, &id("r1"))
            .await
            .unwrap();
    }
    client.transport().order([]);
    let feed = store(&client).feed(NOON, NOON).await.unwrap();
    assert_eq!(feed.len(), 600);
    // 600 rows of 4 KB are more than two pages of 1 MB.
    assert!(client.transport().sent().len() >= 3);
}

#[tokio::test]
async fn a_feed_span_beyond_a_day_is_rejected_before_any_request() {
    let engine = Engine::start().await;
    let client = engine.client();
    let ages = store(&client).feed(UnixTime::from_secs(0), NOON).await;
    assert!(ages.is_err());
    assert!(client.transport().sent().is_empty());
}

#[tokio::test]
async fn reannouncing_a_revocation_writes_a_new_feed_row_and_announcing_none_writes_nothing() {
    let engine = Engine::start().await;
    let client = engine.client();
    let revoked = [until_later(session())];
    for secs in [0, 0, 3] {
        let stamp = NOON.plus(Duration::from_secs(secs));
        store(&client)
            .announce(&revoked, stamp, &id("r1"))
            .await
            .unwrap();
    }
    assert_eq!(
        store(&client)
            .feed(NOON, NOON.plus(MINUTE))
            .await
            .unwrap()
            .len(),
        2
    );
    client.transport().order([]);
    store(&client).announce(&[], NOON, &id("r2")).await.unwrap();
    assert!(client.transport().sent().is_empty());
}

#[tokio::test]
async fn a_repeated_revocation_writes_a_feed_row_only_if_its_last_one_is_older_than_the_bound() {
    let engine = Engine::start().await;
    let client = engine.client();
    let at = |secs| NOON.plus(Duration::from_secs(secs));
    let store = store(&client);
    let logged_out = event(AuditKind::LoggedOut, "r0");
    for target in [
        RevocationTarget::Token("t1".to_owned()),
        session(),
        subject(4),
    ] {
        let one = until_later(target);
        let some = core::slice::from_ref(&one);
        let ended = store.put_revocation(some, at(10), &logged_out);
        ended.await.unwrap();
        let before = store.feed(NOON, at(60)).await.unwrap().len();
        for (since, stamp, announced, more) in [
            (10, 11, Announced::Before, 0),
            (9, 10, Announced::Before, 0),
            (11, 12, Announced::Written, 1),
            (12, 13, Announced::Before, 1),
            (13, 14, Announced::Written, 2),
        ] {
            let request = id(&format!("r{stamp}"));
            client.transport().order([]);
            let done = store.announce_again(&one, at(since), at(stamp), &request);
            assert_eq!(done.await.unwrap(), announced, "{one:?} {since}");
            // A refused repetition is one read: DynamoDB charges a cancelled transaction.
            let calls: &[&str] = match announced {
                Announced::Before => &["GetItem"],
                Announced::Written => &["GetItem", "TransactWriteItems"],
            };
            assert_eq!(client.transport().sent(), calls, "{one:?} {since}");
            let rows = store.feed(NOON, at(60)).await.unwrap().len();
            assert_eq!(rows, before.saturating_add(more), "{one:?} {since}");
        }
    }
}

#[tokio::test]
async fn a_repeated_revocation_of_a_subject_never_lowers_its_generation() {
    let engine = Engine::start().await;
    let client = engine.client();
    let at = |secs| NOON.plus(Duration::from_secs(secs));
    let store = store(&client);
    let (logged_out, request) = (event(AuditKind::LoggedOut, "r0"), id("r1"));
    let high = [until_later(subject(4))];
    let ended = store.put_revocation(&high, at(0), &logged_out);
    ended.await.unwrap();
    for (generation, since, announced) in [
        // Covered by the recent row of the higher generation.
        (3, 0, Announced::Before),
        // That row is old, so the lower generation is announced alone.
        (3, 1, Announced::Written),
        // A recent row of a lower generation covers nothing.
        (5, 0, Announced::Written),
    ] {
        let one = until_later(subject(generation));
        let stamp = at(20_u64.saturating_add(generation));
        let done = store.announce_again(&one, at(since), stamp, &request);
        assert_eq!(done.await.unwrap(), announced, "{generation} {since}");
        let published = store.feed(stamp, stamp).await.unwrap();
        let written = announced == Announced::Written;
        assert_eq!(published, Vec::from_iter(written.then_some(one)));
        let standing = store.revocations_of(token()).await.unwrap();
        assert!(
            standing.revokes_subject_or_key(token()),
            "generation 3 stays revoked"
        );
    }
}

/// More shards than the current setting, as after a growth of the feed.
const FOUR: FeedShards = FeedShards { write: 4, read: 4 };

/// Revokes two tokens in each of 32 requests, over `shards` shards.
async fn spread_out(engine: &Engine, shards: FeedShards) {
    let client = engine.client();
    let store = store(&client).spread(shards);
    for request in 0..32 {
        let targets = ["a", "b"].map(|name| RevocationTarget::Token(format!("{request}-{name}")));
        let request_id = format!("r{request}");
        store
            .put_revocation(
                &targets.map(until_later),
                NOON,
                &event(AuditKind::AccessTokenRevoked, &request_id),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_sharded_feed_is_written_to_and_read_from_every_shard() {
    let engine = Engine::start().await;
    spread_out(&engine, FOUR).await;
    let client = engine.client();
    let mut lie = Vec::new();
    for shard in 0..5 {
        let partition = format!("FEED#2026-11-23T12:00#{shard}");
        lie.push(rows(&client, "TokenBlacklist", &partition).await.len());
    }
    assert_eq!(lie.iter().sum::<usize>(), 64);
    assert!(lie[..4].iter().all(|rows| *rows > 4), "{lie:?}");
    assert_eq!(lie[4], 0);

    client.transport().order([]);
    let feed = store(&client).spread(FOUR).feed(NOON, NOON).await.unwrap();
    assert_eq!(feed.len(), 64);
    assert_eq!(client.transport().sent(), ["Query"; 4]);
    let known = Revocations::from_iter(feed);
    assert_eq!(known.len(), 64, "each of them once");
}

#[tokio::test]
async fn readers_must_add_feed_shards_before_writers() {
    // The safe order: the edge already reads four shards, and hosts still write one.
    let engine = Engine::start().await;
    spread_out(&engine, FeedShards::CURRENT).await;
    let client = engine.client();
    let early = store(&client).spread(FOUR).feed(NOON, NOON).await.unwrap();
    assert_eq!(early.len(), 64);
    // The wrong order loses most of the feed without an error.
    let engine = Engine::start().await;
    spread_out(&engine, FOUR).await;
    let client = engine.client();
    let lost = store(&client).feed(NOON, NOON).await.unwrap();
    assert!(lost.len() < 32, "{}", lost.len());
}

#[tokio::test]
async fn an_unreadable_feed_shard_fails_the_whole_poll() {
    let engine = Engine::start().await;
    spread_out(&engine, FOUR).await;
    let client = engine.client();
    for missing in 0..4 {
        let refused = Fault::Answer(400, r#"{"__type":"x#AccessDeniedException"}"#);
        let mut faults = vec![Fault::Pass; missing];
        faults.push(refused);
        client.transport().order(faults);
        let feed = store(&client).spread(FOUR).feed(NOON, NOON).await;
        assert!(feed.is_err(), "{missing}");
    }
    client.transport().order([]);
    assert!(store(&client).spread(FOUR).feed(NOON, NOON).await.is_ok());
}
