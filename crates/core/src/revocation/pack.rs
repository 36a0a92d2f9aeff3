//! Packs: what a closed span of the feed called back, in a form small enough to be read at once.
//!
//! ```text
//! "PTCPACK" version:1 until:8 keys:4 names:4  | key:16 ..  | first name, then the steps to the next
//! ```
//!
//! Numbers are big-endian. A step is a LEB128 number of at least 1. Names are 32 bits of a
//! SHA-256; keys, which are few and stop many tokens, stand whole.

use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::time::UnixTime;

use super::fingerprint::Fingerprint;
use super::fingerprint_set::FingerprintSet;
use super::{Revocation, RevocationTarget};

/// The longest pack in bytes. A row of DynamoDB has room for 400 KB.
pub const MAX_PACK_BYTES: usize = 390_000;

/// How many names a pack holds: 120,000 steps, however they lie, are 363 KB at the most.
const MAX_IDENTIFIERS: usize = 120_000;

/// How many keys called back a pack holds: 16 KB of them.
const MAX_KEYS: usize = 1_024;

const MAGIC: &[u8; 8] = b"PTCPACK\x01";

/// What a closed span of the feed called back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pack {
    keys: Vec<Fingerprint>,
    names: FingerprintSet,
}

/// The name of a pack: 128 bits of a digest of its bytes, in hexadecimal. Under one name there is
/// never anything else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackName(String);

/// The bytes are no pack.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PackError {
    /// Another version's, or no pack at all.
    #[error("not a pack of this version")]
    Version,
    /// Cut off, too long, or not in order.
    #[error("a pack that is not well formed")]
    Malformed,
    /// A name is 32 digits of lower case hexadecimal.
    #[error("not the name of a pack")]
    Name,
}

impl Pack {
    /// What of `revocations` still matters at `now`.
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

    /// What both hold, for the longer time.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.keys.sort_unstable();
        self.keys.dedup();
        self.names = self.names.merge(&other.names);
        self
    }

    /// The same in parts that each fit into a row; none if it is empty.
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

    /// When nothing of it matters any more.
    pub const fn until(&self) -> UnixTime {
        self.names.until()
    }

    /// How many names and keys it holds.
    pub fn len(&self) -> usize {
        self.keys.len().saturating_add(self.names.len())
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes it down.
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

    /// Reads one.
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
        // INVARIANT: nothing is set aside for more names than there are bytes.
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
    /// The name of the pack that `bytes` are.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        Self(digits.collect())
    }

    /// Reads a name.
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

    /// The name as text.
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
    fn it_is_written_as_it_stands_above() {
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
    fn what_is_no_whole_pack_of_this_version_is_unreadable_and_never_empty() {
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
        // More and fewer names than are told, a step of nothing, a sum beyond 32 bits, an order
        // of keys that is none, a number beyond 32 bits.
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
    fn the_fullest_pack_fits_into_a_row_wherever_its_names_lie() {
        let many = u32::try_from(MAX_IDENTIFIERS).unwrap();
        let even = u32::MAX / many;
        // Evenly spread, in one heap, and as many long steps as there is room for.
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
    fn more_than_fits_is_split_and_nothing_is_no_pack() {
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
        fn what_was_written_is_read_back(shorts: std::collections::BTreeSet<u32>) {
            let pack = pack(shorts.into_iter().collect());
            prop_assert_eq!(Pack::parse(&pack.to_bytes()), Ok(pack));
        }

        #[test]
        fn any_bytes_are_a_pack_or_an_error(bytes: Vec<u8>, shorts: Vec<u32>) {
            let _ = Pack::parse(&bytes);
            let _ = Pack::parse(&[&MAGIC[..], &bytes].concat());
            // A good one with a few bytes changed.
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
