//! Chaos: a proxy between a client and AWS that injects faults into calls, driven by a seed.
//!
//! Calls are delayed, lost before or after execution, left without a response, duplicated at once
//! or late, reordered, throttled, failed before or after execution, truncated, and rejected for a
//! transaction conflict. The fault of a call depends on the seed and on the number of earlier
//! calls. A fault that could not occur (no later call arrived to reorder with) is not counted.

mod refusal;
pub mod serve;

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{sync::watch, time};

use self::refusal::{conflict, failure, is_transaction, throttling};
use crate::wire::Answer;

/// The maximum time that a reordered call waits for a later one.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(60);

/// The number of other calls executed before the late copy of one.
const LATE: u32 = 5;

/// The default duration of a missing response: the host waits for 3 s, the Worker for 2 s.
const SILENCE: Duration = Duration::from_millis(3_500);

/// The fault of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ChaosFault {
    Delayed,
    RequestLost,
    AnswerLost,
    Silent,
    CutShort,
    Doubled,
    DoubledLate,
    Overtaken,
    Throttled,
    Failed,
    FailedAfter,
    Conflict,
}

/// Each fault and its rate per thousand calls.
const RATES: [(ChaosFault, u64); 12] = [
    (ChaosFault::Delayed, 60),
    (ChaosFault::RequestLost, 25),
    (ChaosFault::AnswerLost, 25),
    (ChaosFault::Silent, 8),
    (ChaosFault::CutShort, 20),
    (ChaosFault::Doubled, 20),
    (ChaosFault::DoubledLate, 20),
    (ChaosFault::Overtaken, 40),
    (ChaosFault::Throttled, 25),
    (ChaosFault::Failed, 20),
    (ChaosFault::FailedAfter, 15),
    // Only for transactions; other calls pass unchanged.
    (ChaosFault::Conflict, 40),
];

impl ChaosFault {
    /// The name in the counts.
    const fn name(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::RequestLost => "request_lost",
            Self::AnswerLost => "answer_lost",
            Self::Silent => "silent",
            Self::CutShort => "cut_short",
            Self::Doubled => "doubled",
            Self::DoubledLate => "doubled_late",
            Self::Overtaken => "overtaken",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::FailedAfter => "failed_after_done",
            Self::Conflict => "conflict",
        }
    }
}

/// The copy of an executed call, and the number of other calls to be executed first.
#[derive(Debug)]
struct Copy {
    request: Request<Bytes>,
    others: u32,
}

/// Draws the fault of each call.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    silence: Duration,
    calls: AtomicU64,
    calm: AtomicBool,
    /// The latest executed call.
    carried_out: watch::Sender<Option<u64>>,
    copies: Mutex<Vec<Copy>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Chaos {
    /// The chaos proxy with the seed `seed`.
    pub fn new(seed: u64) -> Self {
        let nothing_yet = RATES.map(|(mishap, _)| (mishap.name(), 0));
        Self {
            seed,
            silence: SILENCE,
            calls: AtomicU64::new(0),
            calm: AtomicBool::new(false),
            carried_out: watch::Sender::new(None),
            copies: Mutex::default(),
            counts: Mutex::new(BTreeMap::from(nothing_yet)),
        }
    }

    /// The same with this duration of missing responses. It should be longer than the timeout of
    /// the clients.
    #[must_use]
    pub const fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Disables or enables the faults.
    pub fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
        if calm {
            held(&self.copies).clear();
        }
    }

    /// The number of faults so far, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        held(&self.counts).clone()
    }

    /// Sends `request` with `send`, subject to the drawn fault. Additional sends are copies of
    /// earlier requests.
    pub async fn pass<F: Future<Output = anyhow::Result<Response<Bytes>>>>(
        &self,
        request: Request<Bytes>,
        send: impl Fn(Request<Bytes>) -> F,
    ) -> Answer {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let mishap = self.draw(number, &request);
        let answer = match mishap {
            Some(ChaosFault::RequestLost) => {
                self.count(ChaosFault::RequestLost);
                return Answer::Nothing;
            }
            Some(ChaosFault::Throttled) => {
                self.count(ChaosFault::Throttled);
                return Answer::Whole(throttling());
            }
            Some(ChaosFault::Failed) => {
                self.count(ChaosFault::Failed);
                return Answer::Whole(failure());
            }
            Some(ChaosFault::Conflict) => {
                self.count(ChaosFault::Conflict);
                return Answer::Whole(conflict(&request));
            }
            Some(ChaosFault::Delayed) => {
                self.count(ChaosFault::Delayed);
                time::sleep(Duration::from_millis(mix(!self.seed, number) % 150)).await;
                send(request).await
            }
            Some(ChaosFault::Overtaken) => {
                if self.is_overtaken(number).await {
                    self.count(ChaosFault::Overtaken);
                }
                send(request).await
            }
            Some(ChaosFault::Doubled) => match send(request.clone()).await {
                Ok(_) => {
                    self.count(ChaosFault::Doubled);
                    send(request).await
                }
                Err(fault) => Err(fault),
            },
            Some(ChaosFault::DoubledLate) => {
                let answer = send(request.clone()).await;
                let others = LATE;
                held(&self.copies).push(Copy { request, others });
                answer
            }
            Some(
                ChaosFault::AnswerLost
                | ChaosFault::Silent
                | ChaosFault::CutShort
                | ChaosFault::FailedAfter,
            )
            | None => send(request).await,
        };
        self.carried_out.send_if_modified(|latest| {
            let is_later = *latest < Some(number);
            *latest = Some(number).max(*latest);
            is_later
        });
        for copy in self.due_copies() {
            // The response to a copy is discarded.
            if send(copy).await.is_ok() {
                self.count(ChaosFault::DoubledLate);
            }
        }
        let Ok(response) = answer else {
            return Answer::Nothing;
        };
        match mishap {
            Some(ChaosFault::AnswerLost) => {
                self.count(ChaosFault::AnswerLost);
                Answer::Nothing
            }
            Some(ChaosFault::Silent) => {
                self.count(ChaosFault::Silent);
                time::sleep(self.silence).await;
                Answer::Nothing
            }
            Some(ChaosFault::CutShort) => {
                self.count(ChaosFault::CutShort);
                Answer::Half(response)
            }
            Some(ChaosFault::FailedAfter) => {
                self.count(ChaosFault::FailedAfter);
                Answer::Whole(failure())
            }
            _ => Answer::Whole(response),
        }
    }

    fn draw(&self, number: u64, request: &Request<Bytes>) -> Option<ChaosFault> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = mix(self.seed, number) % 1_000;
        for (mishap, rate) in RATES {
            if drawn < rate {
                return (mishap != ChaosFault::Conflict || is_transaction(request))
                    .then_some(mishap);
            }
            drawn -= rate;
        }
        None
    }

    fn count(&self, mishap: ChaosFault) {
        *held(&self.counts).entry(mishap.name()).or_default() += 1;
    }

    /// Waits until a later call is executed. Returns whether that happened in time.
    async fn is_overtaken(&self, number: u64) -> bool {
        let mut carried_out = self.carried_out.subscribe();
        let later = carried_out.wait_for(|latest| *latest > Some(number));
        time::timeout(OVERTAKEN_WITHIN, later).await.is_ok()
    }

    /// The copies that are due after enough other calls, including this one.
    fn due_copies(&self) -> Vec<Request<Bytes>> {
        let mut copies = held(&self.copies);
        let (due, waiting) = mem::take(&mut *copies)
            .into_iter()
            .partition::<Vec<_>, _>(|copy| copy.others == 0);
        let one_less = |copy: Copy| Copy {
            others: copy.others - 1,
            ..copy
        };
        *copies = waiting.into_iter().map(one_less).collect();
        due.into_iter().map(|copy| copy.request).collect()
    }
}

/// Every state that a panicking thread can leave behind is valid.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SplitMix64: element `number` of the sequence with the seed `seed`.
const fn mix(seed: u64, number: u64) -> u64 {
    let z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
