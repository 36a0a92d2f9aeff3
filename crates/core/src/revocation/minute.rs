//! A closed minute of the feed in the form that an edge caches: every fingerprint in full.
//!
//! ```text
//! "PTCMINU" version:1 | name:16 generation:8 until:8 key:1 ..
//! ```

use thiserror::Error;

use crate::time::UnixTime;

use super::fingerprint::Fingerprint;
use super::{Revocation, RevocationTarget, Revocations};

const MAGIC: &[u8; 8] = b"PTCMINU\x01";

/// The bytes are no minute of the feed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not a feed minute of this version")]
pub struct MinuteError;

/// Encodes the revocations of a closed minute.
pub fn write_minute(revocations: &[Revocation]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for revocation in revocations {
        let (generation, is_key) = match revocation.target {
            RevocationTarget::Token(_) | RevocationTarget::Session(_) => (u64::MAX, false),
            RevocationTarget::Key(_) => (u64::MAX, true),
            RevocationTarget::Subject { generation, .. } => (generation, false),
        };
        bytes.extend(Fingerprint::of(&revocation.target).bits().to_be_bytes());
        bytes.extend(generation.to_be_bytes());
        bytes.extend(revocation.until.as_secs().to_be_bytes());
        bytes.push(is_key.into());
    }
    bytes
}

/// Parses a minute and adds its revocations.
///
/// # Errors
///
/// [`MinuteError`]: then nothing is known of it, and `known` is as it was.
pub fn parse_minute(bytes: &[u8], known: &mut Revocations) -> Result<(), MinuteError> {
    let rows = bytes.strip_prefix(MAGIC).ok_or(MinuteError)?;
    let (rows, []) = rows.as_chunks::<33>() else {
        return Err(MinuteError);
    };
    if rows.iter().any(|row| row.last().is_none_or(|key| *key > 1)) {
        return Err(MinuteError);
    }
    for row in rows {
        let (name, rest) = row.split_first_chunk().ok_or(MinuteError)?;
        let (generation, rest) = rest.split_first_chunk().ok_or(MinuteError)?;
        let (until, key) = rest.split_first_chunk().ok_or(MinuteError)?;
        known.put_exact(
            Fingerprint::from_bits(u128::from_be_bytes(*name)),
            u64::from_be_bytes(*generation),
            UnixTime::from_secs(u64::from_be_bytes(*until)),
            *key == [1],
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::tests::{TOKEN, any_revocations};
    use proptest::prelude::*;

    #[test]
    fn a_malformed_minute_is_rejected_and_changes_no_known_revocation() {
        let target = RevocationTarget::Token("t1".to_owned());
        let until = UnixTime::from_secs(1_000);
        let good = write_minute(&[Revocation { target, until }]);
        let read = |bytes: &[u8]| {
            let mut known = Revocations::default();
            let outcome = parse_minute(bytes, &mut known);
            (outcome, known.contains(TOKEN))
        };
        assert_eq!(read(&good), (Ok(()), true));
        assert_eq!(read(&write_minute(&[])), (Ok(()), false));
        let end = good.len() - 1;
        let mut odd = good.clone();
        odd[end] = 2;
        let mut other = good.clone();
        other[7] = 2;
        for bad in [&good[..end], &[&good[..], &[0]].concat(), b"", &odd, &other] {
            assert_eq!(read(bad), (Err(MinuteError), false));
        }
    }

    proptest! {
        #[test]
        fn a_cached_minute_round_trips_with_all_revocations(rows in any_revocations()) {
            let mut read = Revocations::default();
            parse_minute(&write_minute(&rows), &mut read).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", Revocations::from_iter(rows)));
        }

        #[test]
        fn any_bytes_parse_as_a_minute_or_return_an_error(bytes: Vec<u8>) {
            let mut known = Revocations::default();
            let _ = parse_minute(&bytes, &mut known);
            let _ = parse_minute(&[&MAGIC[..], &bytes].concat(), &mut known);
        }
    }
}
