//! The digest of a closed day: the number and the MACs of each shard's entries.
//!
//! A chain of entries would make writers wait for each other; a digest is created once, after all
//! of them.

use core::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::root_keys::{Purpose, RootKeys};
use crate::time::UnixTime;

/// The time after midnight at which a day is closed: no request takes that long.
const CLOSES_AFTER: Duration = Duration::from_secs(24 * 60 * 60 + 600);

/// The content of one shard of one day when it was sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditDigest {
    /// The first second of the day.
    pub day: UnixTime,
    /// The shard.
    pub shard: u32,
    /// The number of entries.
    pub lines: u64,
    /// SHA-256 over their sorted MACs.
    pub hash: [u8; 32],
    /// The time of the seal.
    pub sealed_at: UnixTime,
    /// The root key of its MAC.
    pub root: String,
    /// The MAC over all of it.
    pub code: Vec<u8>,
}

impl AuditDigest {
    /// Seals the entries with the MACs `codes`.
    pub fn seal(
        day: UnixTime,
        shard: u32,
        codes: &[Vec<u8>],
        sealed_at: UnixTime,
        root_keys: &RootKeys,
    ) -> Self {
        let mut digest = Self {
            day,
            shard,
            lines: length(codes),
            hash: hash(codes),
            sealed_at,
            root: root_keys.current_id().to_owned(),
            code: Vec::new(),
        };
        digest.code = digest.with_parts(|parts| root_keys.mac(Purpose::Audit, parts).to_vec());
        digest
    }

    /// Whether its MAC is valid.
    pub fn is_genuine(&self, root_keys: &RootKeys) -> bool {
        self.with_parts(|parts| root_keys.verify_mac(Purpose::Audit, parts, &self.code))
    }

    /// Whether it was created of the MACs `codes`.
    pub fn covers(&self, codes: &[Vec<u8>]) -> bool {
        self.lines == length(codes) && self.hash == hash(codes)
    }

    fn with_parts<T>(&self, work: impl FnOnce(&[&[u8]]) -> T) -> T {
        work(&[
            b"digest",
            self.root.as_bytes(),
            &self.day.as_secs().to_be_bytes(),
            &self.shard.to_be_bytes(),
            &self.lines.to_be_bytes(),
            &self.hash,
            &self.sealed_at.as_secs().to_be_bytes(),
        ])
    }
}

/// Whether the day that begins at `day` is closed at `now`.
pub const fn is_closed(day: UnixTime, now: UnixTime) -> bool {
    day.plus(CLOSES_AFTER).as_secs() <= now.as_secs()
}

fn length(codes: &[Vec<u8>]) -> u64 {
    u64::try_from(codes.len()).unwrap_or(u64::MAX)
}

fn hash(codes: &[Vec<u8>]) -> [u8; 32] {
    let mut codes: Vec<_> = codes.iter().collect();
    codes.sort_unstable();
    let mut hash = Sha256::new();
    for code in codes {
        hash.update(length_of(code));
        hash.update(code);
    }
    hash.finalize().into()
}

fn length_of(code: &[u8]) -> [u8; 8] {
    u64::try_from(code.len()).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: UnixTime = UnixTime::from_secs(1_795_392_000);

    fn root_keys() -> RootKeys {
        RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#).expect("keys")
    }

    fn codes(of: &[u8]) -> Vec<Vec<u8>> {
        of.iter().map(|byte| vec![*byte; 32]).collect()
    }

    #[test]
    fn a_digest_matches_its_entries_in_any_order_and_no_others() {
        let digest = AuditDigest::seal(DAY, 3, &codes(&[1, 2, 3]), DAY, &root_keys());
        assert!(digest.is_genuine(&root_keys()));
        assert!(digest.covers(&codes(&[3, 1, 2])));
        for other in [&[1_u8, 2][..], &[1, 2, 3, 3], &[1, 2, 4], &[]] {
            assert!(!digest.covers(&codes(other)), "{other:?}");
        }
    }

    #[test]
    fn an_altered_digest_fails_its_mac() {
        let alterations: [fn(&mut AuditDigest); 6] = [
            |digest| digest.day = UnixTime::from_secs(0),
            |digest| digest.shard = 1,
            |digest| digest.lines = 2,
            |digest| digest.hash = [0; 32],
            |digest| digest.sealed_at = UnixTime::from_secs(0),
            |digest| digest.code = vec![0; 32],
        ];
        for alter in alterations {
            let mut digest = AuditDigest::seal(DAY, 3, &codes(&[1]), DAY, &root_keys());
            alter(&mut digest);
            assert!(!digest.is_genuine(&root_keys()));
        }
    }

    #[test]
    fn a_day_closes_ten_minutes_after_midnight() {
        let closed = DAY.plus(Duration::from_secs(87_000));
        assert!(is_closed(DAY, closed));
        assert!(!is_closed(DAY, closed.minus(Duration::from_secs(1))));
    }
}
