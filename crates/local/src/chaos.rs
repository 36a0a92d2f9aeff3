//! Chaos: what stands between a client and AWS and makes calls go wrong, as a seed says.
//!
//! Calls are delayed, lost on their way there or back, met with silence, doubled at once or late,
//! held until others have passed, throttled, failed before or after they were carried out, cut
//! short, and refused for a conflict of transactions. What is drawn for a call depends on the seed
//! and on how many calls came before it. What could not happen, because nobody came by, say, is not
//! counted.

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

/// How long a call that is to be overtaken waits for another one at the most.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(60);

/// How many other calls are carried out before the late copy of one.
const LATE: u32 = 5;

/// How long nothing is said where nobody says otherwise: the host waits for 3 s, the Worker for 2.
const SILENCE: Duration = Duration::from_millis(3_500);

/// What happens to a call.
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

/// Each mishap, and of how many in a thousand calls it befalls one.
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
    // Of transactions only; for what is none, all is well.
    (ChaosFault::Conflict, 40),
];

impl ChaosFault {
    /// Its name in counts.
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

/// The copy of a call that was carried out, and how many others are to be before it.
#[derive(Debug)]
struct Copy {
    request: Request<Bytes>,
    others: u32,
}

/// Draws what happens to each call.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    silence: Duration,
    calls: AtomicU64,
    calm: AtomicBool,
    /// The latest call of those that were carried out.
    carried_out: watch::Sender<Option<u64>>,
    copies: Mutex<Vec<Copy>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Chaos {
    /// The chaos of `seed`.
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

    /// The same, with silences of this length. They are to be longer than the callers wait.
    #[must_use]
    pub const fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// From now on nothing goes wrong, or things do again.
    pub fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
        if calm {
            held(&self.copies).clear();
        }
    }

    /// How often each thing went wrong so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        held(&self.counts).clone()
    }

    /// Has `request` answered by `send`, or not, or late, or twice. What is sent besides is a copy
    /// of an earlier request.
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
            // Nobody waits for what it is answered.
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

    /// Waits until a call that came after this one is carried out; whether one was in time.
    async fn is_overtaken(&self, number: u64) -> bool {
        let mut carried_out = self.carried_out.subscribe();
        let later = carried_out.wait_for(|latest| *latest > Some(number));
        time::timeout(OVERTAKEN_WITHIN, later).await.is_ok()
    }

    /// The copies for which enough others were carried out, this call among them.
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

/// Whatever a thread that panicked left there is as good as any.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SplitMix64: number `number` of the sequence that `seed` begins.
const fn mix(seed: u64, number: u64) -> u64 {
    let z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
