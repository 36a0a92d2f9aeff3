//! Packs: the revocations of a closed span of the feed in one small read.
//!
//! ```text
//! "PTCPACK" version:1 until:8 keys:4 names:4  | key:16 ..  | first name, then the steps to the next
//! ```
//!
//! Numbers are big-endian. A step is a LEB128 number of at least 1. Fingerprints are 32 bits of a
//! SHA-256; keys, which are few and stop many tokens, are kept in full.

use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::time::UnixTime;

use super::fingerprint::Fingerprint;
use super::fingerprint_set::FingerprintSet;
use super::{Revocation, RevocationTarget};

/// The maximum length of a pack in bytes. A DynamoDB row has room for 400 KB.
pub const MAX_PACK_BYTES: usize = 390_000;

/// The maximum number of fingerprints in a pack: 120,000 steps of any distribution take at most 363
/// KB.
const MAX_IDENTIFIERS: usize = 120_000;

/// The maximum number of revoked keys in a pack: 16 KB.
const MAX_KEYS: usize = 1_024;

const MAGIC: &[u8; 8] = b"PTCPACK\x01";

/// The revocations of a closed span of the feed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pack {
    keys: Vec<Fingerprint>,
    names: FingerprintSet,
}

/// The identifier of a pack: 128 bits of a digest of its bytes, in hexadecimal. The content under
/// one identifier never changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackName(String);

/// The bytes are no valid pack.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PackError {
    /// The bytes are a pack of another version, or no pack.
    #[error("not a pack of this version")]
    Version,
    /// The pack is truncated, too long or unsorted.
    #[error("malformed pack")]
    Malformed,
    /// An identifier has 32 lower-case hexadecimal digits.
    #[error("invalid pack identifier")]
    Name,
}

impl Pack {
    /// A pack of those `revocations` that are unexpired at `now`.
    pub fn of<'r>(revocations: impl IntoIterator<Item = &'r Revocation>, now: UnixTime) -> Self {
        let (mut keys, mut names, mut until) = (Vec::new(), Vec::new(), UnixTime::default());
        for revocation in revocations {
            if revocation.until <= now {
                continue;
            }
            until = until.max(revocation.until);
            let name = Fingerprint::of(&revocation.target);
            match revocation.target {
                RevocationTarget::Key(_) => keys.push(name),
                RevocationTarget::Token(_)
                | RevocationTarget::Session(_)
                | RevocationTarget::Subject { .. } => names.push(name),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Self {
            keys,
            names: FingerprintSet::new(names, until),
        }
    }

    /// The union of both, with the later expiry.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.keys.sort_unstable();
        self.keys.dedup();
        self.names = self.names.merge(&other.names);
        self
    }

    /// The same content in parts that each fit into a row; empty if the pack is.
    pub fn into_parts_that_fit(self) -> Vec<Self> {
        let until = self.until();
        let names = self.names.shorts().chunks(MAX_IDENTIFIERS);
        let mut keys = self.keys.chunks(MAX_KEYS);
        let mut parts: Vec<Self> = names
            .map(|names| Self {
                keys: keys.next().unwrap_or_default().to_vec(),
                names: FingerprintSet::from_sorted(names.to_vec(), until),
            })
            .collect();
        parts.extend(keys.map(|keys| Self {
            keys: keys.to_vec(),
            names: FingerprintSet::from_sorted(Vec::new(), until),
        }));
        parts
    }

    /// The time when the last revocation expires.
    pub const fn until(&self) -> UnixTime {
        self.names.until()
    }

    /// The number of fingerprints and keys.
    pub fn len(&self) -> usize {
        self.keys.len().saturating_add(self.names.len())
    }

    /// Whether the pack is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Encodes the pack.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.until().as_secs().to_be_bytes());
        bytes.extend(count(self.keys.len()));
        bytes.extend(count(self.names.len()));
        for key in &self.keys {
            bytes.extend(key.bits().to_be_bytes());
        }
        let mut before = 0;
        for short in self.names.shorts() {
            push_number(&mut bytes, short.wrapping_sub(before));
            before = *short;
        }
        bytes
    }

    /// Parses a pack.
    ///
    /// # Errors
    ///
    /// [`PackError`]: then nothing is known of its span, not even that it is empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        if bytes.len() > MAX_PACK_BYTES {
            return Err(PackError::Malformed);
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(PackError::Version)?;
        let until = UnixTime::from_secs(u64::from_be_bytes(take(&mut rest)?));
        let [keys, names] = [count(&mut rest)?, count(&mut rest)?];
        // INVARIANT: the capacity reserved never exceeds the number of input bytes.
        if keys > MAX_KEYS || names > MAX_IDENTIFIERS || names > rest.len() {
            return Err(PackError::Malformed);
        }
        let mut whole = Vec::with_capacity(keys);
        for _ in 0..keys {
            whole.push(Fingerprint::from_bits(u128::from_be_bytes(take(
                &mut rest,
            )?)));
        }
        let mut shorts: Vec<u32> = Vec::with_capacity(names);
        for _ in 0..names {
            let step = take_number(&mut rest)?;
            let short = match shorts.last() {
                Some(last) if step > 0 => last.checked_add(step),
                Some(_) => None,
                None => Some(step),
            };
            shorts.push(short.ok_or(PackError::Malformed)?);
        }
        if !rest.is_empty() || !whole.is_sorted() {
            return Err(PackError::Malformed);
        }
        Ok(Self {
            keys: whole,
            names: FingerprintSet::from_sorted(shorts, until),
        })
    }

    pub(super) fn into_parts(self) -> (Vec<Fingerprint>, FingerprintSet) {
        (self.keys, self.names)
    }
}

impl PackName {
    /// The identifier of the pack in `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        Self(digits.collect())
    }

    /// Parses an identifier.
    ///
    /// # Errors
    ///
    /// [`PackError::Name`].
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PackError::Name)
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], PackError> {
    let (taken, left) = rest.split_first_chunk().ok_or(PackError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

fn count(rest: &mut &[u8]) -> Result<usize, PackError> {
    let count = u32::from_be_bytes(take(rest)?);
    usize::try_from(count).map_err(|_| PackError::Malformed)
}

fn push_number(bytes: &mut Vec<u8>, mut number: u32) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(rest: &mut &[u8]) -> Result<u32, PackError> {
    let mut number = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let [byte] = take(rest)?;
        let part = u32::from(byte & 0x7f);
        let placed = part << shift;
        if placed >> shift != part {
            return Err(PackError::Malformed);
        }
        number |= placed;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(PackError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: UnixTime = UnixTime::from_secs(1_000);

    fn pack(shorts: Vec<u32>) -> Pack {
        Pack {
            keys: vec![Fingerprint::from_bits(7), Fingerprint::from_bits(9)],
            names: FingerprintSet::from_sorted(shorts, NOON),
        }
    }

    #[test]
    fn a_pack_is_encoded_in_the_documented_format() {
        let bytes = pack(vec![1, 129, u32::MAX]).to_bytes();
        assert_eq!(bytes[..8], *b"PTCPACK\x01");
        assert_eq!(bytes[8..16], 1_000_u64.to_be_bytes());
        assert_eq!(bytes[16..24], [0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(bytes[55], 9);
        assert_eq!(bytes[56..], [1, 0x80, 1, 0xfe, 0xfe, 0xff, 0xff, 0x0f]);
        assert_eq!(
            PackName::of(b"").as_str(),
            "e3b0c44298fc1c149afbf4c8996fb924"
        );
    }

    #[test]
    fn a_truncated_or_foreign_pack_is_rejected_and_never_read_as_empty() {
        let good = pack(vec![1, 129, u32::MAX]).to_bytes();
        assert!(Pack::parse(&good).is_ok());
        let with = |place: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[place] = byte;
            Pack::parse(&bytes)
        };
        assert_eq!(with(7, 2), Err(PackError::Version));
        assert_eq!(with(0, b'Q'), Err(PackError::Version));
        assert_eq!(Pack::parse(b""), Err(PackError::Version));
        // Too many and too few fingerprints, a zero step, a sum beyond 32 bits, unsorted keys, a
        // number beyond 32 bits.
        for (place, byte) in [(23, 4), (23, 2), (19, 1), (57, 0), (63, 0x1f), (39, 10)] {
            assert_eq!(with(place, byte), Err(PackError::Malformed), "{place}");
        }
        assert_eq!(with(16, 255), Err(PackError::Malformed));
        for end in 8..good.len() {
            assert_eq!(
                Pack::parse(&good[..end]),
                Err(PackError::Malformed),
                "{end}"
            );
        }
        assert_eq!(
            Pack::parse(&[&good[..], &[1]].concat()),
            Err(PackError::Malformed)
        );
        let long = [&good[..], &vec![1; MAX_PACK_BYTES]].concat();
        assert_eq!(Pack::parse(&long), Err(PackError::Malformed));
    }

    #[test]
    fn the_largest_pack_fits_into_a_row_for_any_fingerprints() {
        let many = u32::try_from(MAX_IDENTIFIERS).unwrap();
        let even = u32::MAX / many;
        // Evenly spread, in one cluster, and with the maximum of long steps.
        let long = 1 << 21;
        for step in [even, 1, 1 << 14] {
            let shorts = (0..many).map(|place| place * step).collect();
            let full = Pack {
                keys: (0..1_024).map(Fingerprint::from_bits).collect(),
                ..pack(shorts)
            };
            let bytes = full.to_bytes();
            assert!(bytes.len() <= MAX_PACK_BYTES, "{}", bytes.len());
            assert_eq!(Pack::parse(&bytes), Ok(full));
        }
        let longest = u32::MAX / long;
        let room = u32::MAX - longest * long;
        assert!(room < long && longest < 2_048);
    }

    #[test]
    fn an_oversized_pack_is_split_and_an_empty_one_yields_no_part() {
        let shorts: Vec<u32> = (0..250_000).collect();
        let parts = pack(shorts).into_parts_that_fit();
        assert_eq!(
            parts.iter().map(Pack::len).collect::<Vec<_>>(),
            [120_002, 120_000, 10_000]
        );
        assert!(Pack::default().into_parts_that_fit().is_empty());
        let keys = pack(vec![]).into_parts_that_fit();
        assert_eq!((keys.len(), keys[0].len(), keys[0].until()), (1, 2, NOON));
    }

    proptest! {
        #[test]
        fn a_pack_round_trips(shorts: std::collections::BTreeSet<u32>) {
            let pack = pack(shorts.into_iter().collect());
            prop_assert_eq!(Pack::parse(&pack.to_bytes()), Ok(pack));
        }

        #[test]
        fn any_bytes_parse_as_a_pack_or_return_an_error(bytes: Vec<u8>, shorts: Vec<u32>) {
            let _ = Pack::parse(&bytes);
            let _ = Pack::parse(&[&MAGIC[..], &bytes].concat());
            // A valid pack with a few bytes changed.
            let mut near = Pack { names: FingerprintSet::new(shorts.into_iter().map(|short| Fingerprint::from_bits(u128::from(short) << 96)), NOON), ..pack(vec![]) }.to_bytes();
            for (spoilt, byte) in near.iter_mut().step_by(31).zip(bytes) {
                *spoilt ^= byte;
            }
            if let Ok(read) = Pack::parse(&near) {
                prop_assert!(read.names.shorts().is_sorted_by(|one, next| one < next));
            }
        }
    }
}
