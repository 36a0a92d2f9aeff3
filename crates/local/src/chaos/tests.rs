use futures_util::future::join_all;
use serde_json::Value;

use super::*;

/// The number of concurrent calls.
const TOGETHER: u64 = 4;

fn transaction(name: &str) -> Request<Bytes> {
    let body = format!(r#"{{"TransactItems":[{{}},{{}},{{}}],"name":"{name}"}}"#);
    Request::post("/")
        .header("x-amz-target", "DynamoDB_20120810.TransactWriteItems")
        .body(body.into())
        .unwrap()
}

/// The first call for which the seed draws `wanted`.
fn first(chaos: &Chaos, wanted: ChaosFault) -> u64 {
    let request = transaction("");
    let mut numbers = 0..10_000;
    let found = numbers.find(|number| chaos.draw(*number, &request) == Some(wanted));
    found.unwrap()
}

/// A chaos proxy with the fault `wanted` for its next call, and the sent calls by name.
struct Trial {
    chaos: Chaos,
    sent: Mutex<Vec<String>>,
}

impl Trial {
    fn of(wanted: ChaosFault) -> Self {
        let chaos = Chaos::new(7);
        chaos.calls.store(first(&chaos, wanted), Ordering::Relaxed);
        Self {
            chaos,
            sent: Mutex::default(),
        }
    }

    async fn pass(&self, name: &str) -> Answer {
        let send = async |request: Request<Bytes>| {
            let body: Value = serde_json::from_slice(request.body())?;
            let name = body["name"].as_str().unwrap_or_default();
            held(&self.sent).push(name.to_owned());
            Ok(Response::new(Bytes::from_static(b"{}")))
        };
        self.chaos.pass(transaction(name), send).await
    }

    fn count(&self, mishap: ChaosFault) -> u64 {
        self.chaos.counts()[mishap.name()]
    }
}

async fn live(seed: u64, calls: u64) -> (BTreeMap<&'static str, u64>, u64, Vec<u16>) {
    let (chaos, sent) = (Chaos::new(seed), AtomicU64::new(0));
    let mut statuses = vec![];
    for _ in 0..calls / TOGETHER {
        let call = |_| async {
            let send = |_: Request<Bytes>| async {
                sent.fetch_add(1, Ordering::Relaxed);
                anyhow::Ok(Response::new(Bytes::from_static(b"{}")))
            };
            match chaos.pass(transaction(""), send).await {
                Answer::Whole(response) => response.status().as_u16(),
                Answer::Half(_) => 1,
                Answer::Nothing => 0,
            }
        };
        statuses.extend(join_all((0..TOGETHER).map(call)).await);
    }
    (chaos.counts(), sent.load(Ordering::Relaxed), statuses)
}

#[tokio::test(start_paused = true)]
async fn every_fault_occurs_and_a_seed_reproduces_them() {
    let (counts, sent, statuses) = live(7, 2_000).await;
    for (mishap, _) in RATES {
        assert!(counts[mishap.name()] > 5, "{mishap:?}: {counts:?}");
    }
    let unsent = ["request_lost", "throttled", "failed", "conflict"];
    let unsent: u64 = unsent.iter().map(|name| counts[name]).sum();
    assert_eq!(
        sent,
        2_000 - unsent + counts["doubled"] + counts["doubled_late"]
    );
    assert_eq!(live(7, 2_000).await.2, statuses);
    assert_ne!(live(8, 2_000).await.2, statuses);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_reordered_behind_a_later_one_or_not_at_all() {
    let alone = Trial::of(ChaosFault::Overtaken);
    alone.pass("held").await;
    assert_eq!(
        alone.count(ChaosFault::Overtaken),
        0,
        "no later call arrived"
    );

    let met = Trial::of(ChaosFault::Overtaken);
    let calm_from_the_second_on = async {
        met.chaos.set_calm(true);
        met.pass("later").await
    };
    let (_, _) = futures_util::future::join(met.pass("held"), calm_from_the_second_on).await;
    assert_eq!(*held(&met.sent), ["later", "held"]);
    assert_eq!(met.count(ChaosFault::Overtaken), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_copy_is_sent_after_other_calls_and_not_before() {
    let trial = Trial::of(ChaosFault::DoubledLate);
    trial.pass("copied").await;
    // Disables faults for the other calls; the copy stays queued.
    trial.chaos.calm.store(true, Ordering::Relaxed);
    for _ in 0..LATE - 1 {
        trial.pass("other").await;
    }
    assert_eq!(trial.count(ChaosFault::DoubledLate), 0);
    trial.pass("last").await;
    let names = [
        "copied", "other", "other", "other", "other", "last", "copied",
    ];
    assert_eq!(*held(&trial.sent), names);
    assert_eq!(trial.count(ChaosFault::DoubledLate), 1);
    trial.pass("other").await;
    assert_eq!(
        held(&trial.sent).len(),
        names.len() + 1,
        "the copy is sent once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_without_response_or_with_a_late_failure_was_executed() {
    let silent = Trial::of(ChaosFault::Silent);
    let begun = time::Instant::now();
    assert!(matches!(silent.pass("silent").await, Answer::Nothing));
    assert_eq!(begun.elapsed(), SILENCE);
    assert_eq!(*held(&silent.sent), ["silent"]);

    let failed = Trial::of(ChaosFault::FailedAfter);
    match failed.pass("failed").await {
        Answer::Whole(response) => assert_eq!(response.status(), 500),
        other => panic!("{other:?}"),
    }
    assert_eq!(*held(&failed.sent), ["failed"]);
}

#[tokio::test]
async fn disabled_chaos_injects_no_faults() {
    let chaos = Chaos::new(1);
    chaos.set_calm(true);
    for _ in 0..200 {
        let send = |_: Request<Bytes>| async { anyhow::Ok(Response::new(Bytes::new())) };
        let answer = chaos.pass(transaction(""), send).await;
        assert!(matches!(answer, Answer::Whole(response) if response.status() == 200));
    }
    assert!(chaos.counts().values().all(|count| *count == 0));
}

#[test]
fn a_transaction_conflict_has_a_reason_for_each_row() {
    let body: Value = serde_json::from_slice(conflict(&transaction("")).body()).unwrap();
    let codes: Vec<_> = body["CancellationReasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["Code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["TransactionConflict", "None", "None"]);
}
