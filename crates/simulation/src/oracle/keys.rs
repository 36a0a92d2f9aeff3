//! The permitted use of keys by hosts.

use super::{Held, Invariant, Oracle};
use crate::bounds::HOST_CACHE;
use crate::plan::{ROUNDING, SKEW};

impl Oracle {
    /// The operator revokes `key`, or has revoked it.
    pub(crate) fn key_drops(&mut self, key: &str, now: u64, acknowledged: bool) {
        let called = self.keys.entry(key.to_owned()).or_default();
        called.note(now, acknowledged);
        // Another key may be reactivated in its place, and from here on no key may sign.
        self.retired.clear();
        let (from, _) = self.keyless.unwrap_or((now, None));
        self.keyless = Some((from, None));
    }

    /// The operator was told that a key signs.
    pub(crate) fn next_key(&mut self, now: u64) {
        // A host's clock may be behind the clock that lets the key sign at once.
        let until = now + SKEW + ROUNDING + self.stepped;
        if let Some((_, open @ None)) = &mut self.keyless {
            *open = Some(until);
        }
    }

    /// `key` has become current: it has no end, even if it had one before.
    pub(crate) fn comes_into_force(&mut self, key: &str) {
        self.retired.remove(key);
    }

    /// A key with a successor is valid until `until` at most.
    pub(crate) fn retires(&mut self, key: &str, until: u64) {
        if !self.keys.contains_key(key) {
            let known = self.retired.entry(key.to_owned()).or_default();
            *known = until.max(*known);
        }
    }

    /// The key that signed last.
    pub(crate) fn signing(&self) -> Option<&str> {
        self.signing.as_deref()
    }

    /// A host that received the request at `asked_at` has signed `token`.
    pub(super) fn signs(&mut self, token: &Held, asked_at: u64) {
        self.signing = Some(token.key.clone());
        let cache = u64::try_from(HOST_CACHE.as_millis()).expect("short");
        let bound = cache + SKEW + ROUNDING + self.stepped;
        let dropped = self.keys.get(&token.key).and_then(|key| key.acknowledged);
        if dropped.is_some_and(|at| asked_at > at + bound) {
            let what = format!("a host signs under {}, which was dropped", token.key);
            self.fail(Invariant::DroppedKey, what);
        }
    }

    /// `host` reports, to a request of `asked_at`, that the document lets none of its keys sign.
    pub(crate) fn lacks_key(&mut self, host: &str, asked_at: u64, now: u64) {
        let is_true = self.keyless.is_some_and(|(from, until)| {
            from <= now && until.is_none_or(|until| asked_at <= until)
        });
        if !is_true {
            let what = format!("{host} has the current keys and finds none to sign with");
            self.fail(Invariant::Signs, what);
        }
    }
}
