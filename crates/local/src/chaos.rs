//! Chaos: what stands between a client and DynamoDB and makes calls go wrong, as a seed says.
//!
//! Calls are delayed, lost on their way there or back, doubled, held until others have passed,
//! throttled, failed, cut short, and refused for a conflict of transactions. What is drawn for a
//! call depends on the seed and on how many calls came before it.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, time};

use crate::wire::{self, Answer, Client};

/// How long a call that is to be overtaken waits for another one at the most.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(60);

/// What happens to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mishap {
    Delayed,
    RequestLost,
    AnswerLost,
    CutShort,
    Doubled,
    Overtaken,
    Throttled,
    Failed,
    Conflict,
}

/// Each mishap, its name in counts, and of how many in a thousand calls it befalls one.
const RATES: [(Mishap, &str, u64); 9] = [
    (Mishap::Delayed, "delayed", 60),
    (Mishap::RequestLost, "request_lost", 25),
    (Mishap::AnswerLost, "answer_lost", 25),
    (Mishap::CutShort, "cut_short", 20),
    (Mishap::Doubled, "doubled", 30),
    (Mishap::Overtaken, "overtaken", 40),
    (Mishap::Throttled, "throttled", 25),
    (Mishap::Failed, "failed", 25),
    // Of transactions only; for what is none, all is well.
    (Mishap::Conflict, "conflict", 40),
];

/// Draws what happens to each call.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    calls: AtomicU64,
    calm: AtomicBool,
    passed: Notify,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Chaos {
    /// The chaos of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            calls: AtomicU64::new(0),
            calm: AtomicBool::new(false),
            passed: Notify::new(),
            counts: Mutex::default(),
        }
    }

    /// From now on nothing goes wrong, or things do again.
    pub fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    /// How often each thing went wrong so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has `request` answered by `send`, or not, or late, or twice.
    pub async fn pass<F: Future<Output = anyhow::Result<Response<Bytes>>>>(
        &self,
        request: Request<Bytes>,
        send: impl Fn(Request<Bytes>) -> F,
    ) -> Answer {
        let mishap = self.draw(&request);
        let answer = match mishap {
            Some(Mishap::RequestLost) => return Answer::Nothing,
            Some(Mishap::Throttled) => {
                return Answer::Whole(refusal(400, "ThrottlingException", &Value::Null));
            }
            Some(Mishap::Failed) => {
                return Answer::Whole(refusal(500, "InternalServerError", &Value::Null));
            }
            Some(Mishap::Conflict) => return Answer::Whole(conflict(&request)),
            Some(Mishap::Delayed) => {
                time::sleep(self.delay()).await;
                send(request).await
            }
            Some(Mishap::Overtaken) => {
                // Whether another one came by or not, it goes on.
                drop(time::timeout(OVERTAKEN_WITHIN, self.passed.notified()).await);
                send(request).await
            }
            Some(Mishap::Doubled) => match send(request.clone()).await {
                Ok(_) => send(request).await,
                Err(fault) => Err(fault),
            },
            Some(Mishap::AnswerLost | Mishap::CutShort) | None => send(request).await,
        };
        self.passed.notify_waiters();
        match (answer, mishap) {
            (Err(_), _) | (Ok(_), Some(Mishap::AnswerLost)) => Answer::Nothing,
            (Ok(response), Some(Mishap::CutShort)) => Answer::Half(response),
            (Ok(response), _) => Answer::Whole(response),
        }
    }

    fn draw(&self, request: &Request<Bytes>) -> Option<Mishap> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = mix(self.seed, number) % 1_000;
        for (mishap, name, rate) in RATES {
            if drawn < rate {
                if mishap == Mishap::Conflict && !is_transaction(request) {
                    return None;
                }
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                *counts.entry(name).or_default() += 1;
                return Some(mishap);
            }
            drawn -= rate;
        }
        None
    }

    fn delay(&self) -> Duration {
        let number = self.calls.load(Ordering::Relaxed);
        Duration::from_millis(mix(!self.seed, number) % 150)
    }
}

/// Stands before `upstream` until `end` resolves. `GET /chaos` tells what went wrong so far,
/// `POST /chaos/stop` and `POST /chaos/start` let it rest and begin again.
///
/// # Errors
///
/// None so far: a connection that fails is its own affair.
pub async fn serve(
    listener: TcpListener,
    upstream: SocketAddr,
    chaos: Arc<Chaos>,
    end: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let client = Client::default();
    let answering = wire::serve(listener, move |request: Request<Bytes>| {
        let (chaos, client) = (Arc::clone(&chaos), client.clone());
        async move {
            if let Some(answer) = told(&chaos, &request) {
                return Answer::Whole(answer);
            }
            chaos
                .pass(request, |request| client.send(upstream, request))
                .await
        }
    });
    tokio::select! {
        () = answering => {}
        () = end => {}
    }
    Ok(())
}

/// The answer to what is meant for the chaos itself.
fn told(chaos: &Chaos, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/chaos") => {}
        (&Method::POST, "/chaos/stop") => chaos.set_calm(true),
        (&Method::POST, "/chaos/start") => chaos.set_calm(false),
        _ => return None,
    }
    Some(Response::new(json!(chaos.counts()).to_string().into()))
}

fn is_transaction(request: &Request<Bytes>) -> bool {
    let target = request.headers().get("x-amz-target");
    target.is_some_and(|target| target.as_bytes().ends_with(b".TransactWriteItems"))
}

/// The refusal of a transaction whose first row another one is at work on.
fn conflict(request: &Request<Bytes>) -> Response<Bytes> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let rows = body["TransactItems"].as_array().map_or(1, Vec::len);
    let reason = |row| {
        let code = if row == 0 {
            "TransactionConflict"
        } else {
            "None"
        };
        json!({ "Code": code })
    };
    let reasons: Vec<Value> = (0..rows).map(reason).collect();
    refusal(400, "TransactionCanceledException", &json!(reasons))
}

fn refusal(status: u16, code: &str, reasons: &Value) -> Response<Bytes> {
    let mut body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "by chaos",
    });
    if !reasons.is_null() {
        body["CancellationReasons"] = reasons.clone();
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

/// SplitMix64: number `number` of the sequence that `seed` begins.
const fn mix(seed: u64, number: u64) -> u64 {
    let z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction() -> Request<Bytes> {
        Request::post("/")
            .header("x-amz-target", "DynamoDB_20120810.TransactWriteItems")
            .body(Bytes::from_static(br#"{"TransactItems":[{},{},{}]}"#))
            .unwrap()
    }

    async fn live(seed: u64, calls: u64) -> (BTreeMap<&'static str, u64>, u64, Vec<u16>) {
        let (chaos, sent) = (Chaos::new(seed), AtomicU64::new(0));
        let mut statuses = vec![];
        for _ in 0..calls {
            let send = |_: Request<Bytes>| async {
                sent.fetch_add(1, Ordering::Relaxed);
                anyhow::Ok(Response::new(Bytes::from_static(b"{}")))
            };
            statuses.push(match chaos.pass(transaction(), send).await {
                Answer::Whole(response) => response.status().as_u16(),
                Answer::Half(_) => 1,
                Answer::Nothing => 0,
            });
        }
        (chaos.counts(), sent.load(Ordering::Relaxed), statuses)
    }

    #[tokio::test(start_paused = true)]
    async fn everything_happens_and_a_seed_happens_the_same_each_time() {
        let (counts, sent, statuses) = live(7, 1_000).await;
        for (_, name, _) in RATES {
            assert!(
                counts.get(name).is_some_and(|count| *count > 5),
                "{name}: {counts:?}"
            );
        }
        let unsent = ["request_lost", "throttled", "failed", "conflict"];
        let unsent: u64 = unsent.iter().map(|name| counts[name]).sum();
        assert_eq!(sent, 1_000 - unsent + counts["doubled"]);
        assert_eq!(live(7, 1_000).await.2, statuses);
        assert_ne!(live(8, 1_000).await.2, statuses);
    }

    #[tokio::test]
    async fn calm_is_calm() {
        let chaos = Chaos::new(1);
        chaos.set_calm(true);
        for _ in 0..200 {
            let send = |_: Request<Bytes>| async { anyhow::Ok(Response::new(Bytes::new())) };
            let answer = chaos.pass(transaction(), send).await;
            assert!(matches!(answer, Answer::Whole(response) if response.status() == 200));
        }
        assert!(chaos.counts().is_empty());
    }

    #[test]
    fn a_conflict_has_a_reason_for_each_row() {
        let body: Value = serde_json::from_slice(conflict(&transaction()).body()).unwrap();
        let codes: Vec<_> = body["CancellationReasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["Code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, ["TransactionConflict", "None", "None"]);
    }
}
