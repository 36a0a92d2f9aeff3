//! Detects common passwords: a binary fuse filter over the lists that attackers try first.
//!
//! The filter contains fingerprints, no passwords. A listed password is always found; the
//! false-positive rate is 1 in 65 536. For its sources and build see `cargo xtask passwords` and
//! `docs/passwords.md`.
//!
//! ```
//! assert!(portcullis_common_passwords::is_listed("Password1234"));
//! assert!(!portcullis_common_passwords::is_listed("gates fall at nightfall"));
//! ```

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use xorf::{BinaryFuse16Ref, Filter as _, FilterRef as _};

/// The minimum number of characters of a password in the filter: shorter passwords are never looked
/// up.
pub const MIN_LISTED_LENGTH: usize = 8;

/// The length of the filter's descriptor, in bytes.
pub const DESCRIPTOR_BYTES: usize = 20;

/// The bytes of a file, aligned so that 16-bit fingerprints are read in place.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);

static FILTER: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/common-passwords.bin"));

static LISTED: LazyLock<BinaryFuse16Ref<'static>> = LazyLock::new(|| {
    // The fingerprints are read in place, so they come first, where they are aligned.
    let end = FILTER.0.len().saturating_sub(DESCRIPTOR_BYTES);
    let (fingerprints, descriptor) = FILTER.0.split_at_checked(end).unwrap_or_default();
    BinaryFuse16Ref::from_dma(descriptor, fingerprints)
});

/// Whether `password` is on a list, in any case and Unicode form.
pub fn is_listed(password: &str) -> bool {
    LISTED.contains(&fingerprint(password))
}

/// The fingerprint of a password: the first 64 bits of the SHA-256 of its NFC form in lower case.
pub fn fingerprint(password: &str) -> u64 {
    let mut hash = Sha256::new();
    let mut utf_8 = [0; 4];
    for letter in password.nfc().flat_map(char::to_lowercase) {
        hash.update(letter.encode_utf8(&mut utf_8).as_bytes());
    }
    let hash = hash.finalize();
    hash.first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_password_is_listed_in_any_case() {
        for common in [
            "password",
            "12345678",
            "iloveyou",
            "PassWord1",
            "QWERTYUIOP",
            "correcthorsebatterystaple",
            "thisismypassword",
            "qwertyuiopasdfgh",
        ] {
            assert!(is_listed(common), "{common}");
        }
    }

    #[test]
    fn an_uncommon_password_is_not_listed_except_for_one_in_65536() {
        let strangers = (0..200_000_u32).map(|number| format!("unheard-of {number} {}", !number));
        let taken = strangers.filter(|password| is_listed(password)).count();
        // Three are expected; 30 allow for random variation.
        assert!(taken <= 30, "{taken} of 200 000");
    }

    #[test]
    fn the_unicode_form_of_a_password_makes_no_difference() {
        assert_eq!(fingerprint("CAF\u{c9}"), fingerprint("cafe\u{301}"));
        assert_ne!(fingerprint("cafe"), fingerprint("caf\u{e9}"));
    }
}
