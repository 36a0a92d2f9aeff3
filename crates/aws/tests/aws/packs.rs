//! Packs on the engine: packed, read and replaced, with their cost.

use core::time::Duration;

use portcullis_aws::client::ApiCall;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::operation::Operation;
use portcullis_core::policy::Policy;
use portcullis_core::revocation::{
    PackIndex, PackName, Revocation, RevocationStatus, RevocationTarget, TokenIds,
};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_service::pack::{PackOutcome, pack};
use portcullis_service::ports::NoCache;
use portcullis_service::snapshot::{Keys, follow};
use portcullis_service::store::{PackStore as _, RevocationStore as _, WriteOutcome};
use serde_json::json;

use crate::engine::{Engine, NOON, id, store, wire};
use crate::wire::{Fault, Wire};

const LIFETIME: Duration = Duration::from_secs(600);
const POLICY: &str = r#"{"issuers":[{"issuer":"https://id.example","audience":"api",
    "algorithms":["EdDSA"],"keys":"document","profile":"at+jwt","leeway":60}],"routes":[]}"#;

fn at(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
}

fn policy() -> Policy {
    Policy::parse(POLICY, None).unwrap()
}

fn token(token_id: &str) -> TokenIds<'_> {
    TokenIds {
        issuer: "https://id.example",
        subject: "u-ada",
        token_id,
        session_id: None,
        generation: Some(1),
        key_id: "k1",
    }
}

async fn revoke(engine: &Engine, stamp: UnixTime, targets: impl Iterator<Item = RevocationTarget>) {
    let revocations: Vec<_> = targets
        .map(|target| Revocation {
            target,
            until: stamp.plus(LIFETIME),
        })
        .collect();
    let client = engine.client();
    let store = DynamoStore::at(&client, stamp);
    store
        .announce(&revocations, stamp, &id("r1"))
        .await
        .unwrap();
}

fn token_of(number: usize) -> RevocationTarget {
    RevocationTarget::Token(format!("t{number}"))
}

/// Packs until everything is packed; returns the number of packed identifiers.
async fn round(engine: &Engine, now: UnixTime) -> u64 {
    let client = engine.client();
    let store = DynamoStore::at(&client, now);
    let mut all = 0;
    loop {
        match pack(&store, LIFETIME, now, &id("round")).await.unwrap() {
            PackOutcome::Part { names, .. } => all += names,
            PackOutcome::Done { names } => return all + names,
            // Zero then fails every test that expects packed identifiers.
            PackOutcome::Withdrawn { .. } | PackOutcome::Contended => return 0,
        }
    }
}

async fn cold(client: &portcullis_aws::client::Client<Wire>, now: UnixTime) -> Snapshot {
    let store = DynamoStore::at(client, now);
    let unread = Snapshot::unread(&policy());
    let reading = follow(&policy(), unread, Keys::WhenDue, &store, &NoCache, now).await;
    assert!(reading.error.is_none(), "{:?}", reading.error);
    reading.snapshot
}

#[tokio::test]
async fn packed_revocations_are_maybe_revoked_and_later_ones_revoked() {
    let engine = Engine::start().await;
    revoke(&engine, NOON, (0..300).map(token_of)).await;
    revoke(
        &engine,
        NOON,
        [RevocationTarget::Key("k9".to_owned())].into_iter(),
    )
    .await;
    assert_eq!(round(&engine, at(64)).await, 301);
    assert_eq!(round(&engine, at(64)).await, 0);
    revoke(&engine, at(70), [token_of(900)].into_iter()).await;
    assert_eq!(round(&engine, at(130)).await, 1);
    revoke(&engine, at(140), [token_of(901)].into_iter()).await;

    let client = engine.client();
    let known = cold(&client, at(145)).await;
    let standing = |id: &str| known.revocations().status(token(id));
    assert_eq!(standing("t299"), RevocationStatus::MaybeRevoked);
    assert_eq!(standing("t900"), RevocationStatus::MaybeRevoked);
    assert_eq!(standing("t901"), RevocationStatus::Revoked);
    assert_eq!(standing("t902"), RevocationStatus::NotRevoked);
    let under_k9 = TokenIds {
        key_id: "k9",
        ..token("t902")
    };
    assert_eq!(
        known.revocations().status(under_k9),
        RevocationStatus::Revoked
    );
    let directory = store(&client).directory().await.unwrap();
    let last = directory.packed().last().unwrap();
    assert_eq!((last.names, last.to), (302, at(120)));
    // A day and 66 seconds, from the start of that minute.
    let day = Duration::from_secs(86_460);
    assert_eq!(directory.start(), Some(NOON.minus(day)));
}

#[tokio::test]
async fn a_cold_start_and_an_hour_of_polling_cost_the_documented_units() {
    let engine = Engine::start().await;
    let client = engine.client();
    let spent = |earlier| client.consumed().since(earlier).read_halves;

    let earlier = client.consumed();
    let first = cold(&client, at(90)).await;
    // The key document, the index and 12 minutes: one unit each for an empty read.
    let without_packs = spent(earlier);

    let earlier = client.consumed();
    let mut held = first;
    for poll in 1..=720_u64 {
        let now = at(90 + poll * 5);
        let store = DynamoStore::at(&client, now);
        let followed = follow(&policy(), held, Keys::WhenDue, &store, &NoCache, now).await;
        assert!(followed.error.is_none(), "{:?}", followed.error);
        held = followed.snapshot;
    }
    let an_hour = spent(earlier);

    round(&engine, at(3_700)).await;
    let earlier = client.consumed();
    cold(&client, at(3_710)).await;
    let with_packs = spent(earlier);
    let earlier = client.consumed();
    let with_session = TokenIds {
        session_id: Some("s1"),
        ..token("t1")
    };
    let found = store(&client).revocations_of(with_session).await.unwrap();
    assert!(found.is_empty());
    // No revocation: one unit for each of four missing rows.
    assert_eq!(spent(earlier), 8);
    // Two halves are a unit. With packs: the key document, the index and the open minutes. An hour
    // has 720 polls: two of twelve in a minute read two partitions because of the overlap, and 60
    // read the keys.
    assert_eq!((without_packs, with_packs, an_hour), (28, 6, 1_800));
}

/// The half units read and written in an hour in which `names` are revoked each minute and packed
/// in the background.
async fn an_hour_of_packing(names: usize) -> (u64, u64) {
    let engine = Engine::start().await;
    let client = engine.client();
    // A day is packed, and the first 12 minutes contain the start of any hour.
    round(&engine, NOON).await;
    let mut earlier = client.consumed();
    for minute in 0..72_usize {
        if minute == 12 {
            earlier = client.consumed();
        }
        let stamp = at(u64::try_from(minute).unwrap() * 60);
        let called_back = (0..names).map(|number| token_of(minute * names + number));
        for some in called_back.collect::<Vec<_>>().chunks(50) {
            revoke(&engine, stamp, some.iter().cloned()).await;
        }
        let now = stamp.plus(Duration::from_secs(65));
        let store = DynamoStore::at(&client, now);
        pack(&store, LIFETIME, now, &id("round")).await.unwrap();
    }
    let spent = client.consumed().since(earlier);
    (spent.read_halves, spent.write_halves)
}

#[tokio::test]
async fn packing_costs_the_documented_units() {
    let mut hours = Vec::new();
    for names in [0, 17, 170] {
        hours.push(an_hour_of_packing(names).await);
    }
    assert_eq!(hours, [(240, 240), (358, 486), (1_248, 1_754)]);
}

#[tokio::test]
async fn repacking_a_day_costs_the_documented_units() {
    let engine = Engine::start().await;
    let client = engine.client();
    let mut rounds = Vec::new();
    loop {
        let earlier = client.consumed();
        let store = DynamoStore::at(&client, NOON);
        let outcome = pack(&store, LIFETIME, NOON, &id("round")).await.unwrap();
        let spent = client.consumed().since(earlier);
        rounds.push((spent.read_halves, spent.write_halves));
        if matches!(outcome, PackOutcome::Done { .. }) {
            break;
        }
    }
    let reads: u64 = rounds.iter().map(|(read, _)| read).sum();
    let writes: u64 = rounds.iter().map(|(_, written)| written).sum();
    // 1441 minutes, and the index for each round; the index is written once for each of 26 spans.
    assert_eq!((rounds.len(), reads, writes), (5, 2_892, 64));
}

#[tokio::test]
async fn of_two_pack_indexes_of_one_version_one_is_stored_and_a_retry_recognises_its_own() {
    let engine = Engine::start().await;
    let client = engine.client();
    let first = PackIndex::new(1, vec![]).unwrap();
    let replace = async |directory: &PackIndex, request: &str| {
        let store = store(&client);
        store
            .replace_directory(directory, &id(request))
            .await
            .unwrap()
    };
    assert_eq!(replace(&first, "r1").await, WriteOutcome::Applied);
    assert_eq!(replace(&first, "r1").await, WriteOutcome::Applied);
    assert_eq!(replace(&first, "r2").await, WriteOutcome::Conflict);
    let third = PackIndex::new(3, vec![]).unwrap();
    assert_eq!(replace(&third, "r3").await, WriteOutcome::Conflict);
    assert_eq!(store(&client).directory().await.unwrap(), first);
}

#[tokio::test]
async fn a_pack_is_written_once_and_a_missing_one_is_none() {
    let engine = Engine::start().await;
    let client = engine.client();
    let name = PackName::of(b"one");
    assert_eq!(store(&client).pack(&name).await.unwrap(), None);
    for _ in 0..2 {
        store(&client)
            .put_pack(&name, b"one", at(60))
            .await
            .unwrap();
    }
    let read = store(&client).pack(&name).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"one"[..]));
}

#[tokio::test]
async fn invalid_pack_rows_are_damage_and_not_a_store_failure() {
    let engine = Engine::start().await;
    let client = engine.client();
    let name = PackName::of(b"one");
    for (pk, sk) in [
        ("PACKS", "DIRECTORY"),
        (format!("PACK#{name}").as_str(), "PACK"),
    ] {
        let row = json!({"PK": {"S": pk}, "SK": {"S": sk}, "names": {"S": "nonsense"}});
        let call = ApiCall::new(Operation::PutItem)
            .with("TableName", "TokenBlacklist")
            .with("Item", wire(&row));
        client.call(&call, NOON).await.unwrap();
    }
    let directory = store(&client).directory().await;
    assert!(directory.is_err_and(|error| error.is_corrupt()));
    assert_eq!(store(&client).pack(&name).await.unwrap(), None);
    client.transport().order([Fault::Answer(
        400,
        r#"{"__type":"x#AccessDeniedException"}"#,
    )]);
    let directory = store(&client).directory().await;
    assert!(directory.is_err_and(|error| !error.is_corrupt()));
}

#[tokio::test]
async fn the_largest_pack_fits_into_a_row_of_the_engine() {
    let engine = Engine::start().await;
    let client = engine.client();
    let bytes = vec![0xa5; portcullis_core::revocation::MAX_PACK_BYTES];
    let name = PackName::of(&bytes);
    store(&client)
        .put_pack(&name, &bytes, at(60))
        .await
        .unwrap();
    let read = store(&client).pack(&name).await.unwrap();
    assert_eq!(read, Some(bytes));
}
