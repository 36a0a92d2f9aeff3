//! The second factor: TOTP codes ([RFC 6238]), and recovery codes for a lost device.
//!
//! [RFC 6238]: https://www.rfc-editor.org/rfc/rfc6238

use core::time::Duration;

use thiserror::Error;
use totp_rs::{Algorithm, Builder};

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{Purpose, RootKeys};
use crate::secret::Secret;
use crate::time::UnixTime;

/// The length of a TOTP secret in bytes: that of SHA-1, as RFC 4226 §4 recommends.
pub const TOTP_SECRET_BYTES: usize = 20;

/// The TOTP time step.
pub const TOTP_STEP: Duration = Duration::from_secs(30);

/// The number of digits of a code.
pub const TOTP_DIGITS: u8 = 6;

/// The accepted clock drift of a device, in time steps either way (RFC 6238 §5.2).
const SKEW: u16 = 1;

/// The number of recovery codes of one set.
pub const RECOVERY_CODES: usize = 10;

/// The random bytes of a recovery code: 80 bits.
pub const RECOVERY_CODE_BYTES: usize = 10;

/// Crockford's alphabet, without letters that look alike.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The stored length of a recovery code's MAC, in bytes.
const KEPT_BYTES: usize = 16;

/// The text is no code of its kind. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CodeError {
    /// Not six digits.
    #[error("the code is six digits")]
    Totp,
    /// Not sixteen characters of the alphabet.
    #[error("a recovery code is sixteen letters and digits")]
    Recovery,
}

/// A TOTP code: six digits.
#[derive(Clone, Debug)]
pub struct TotpCode(Secret<String>);

impl TotpCode {
    /// Parses six digits of any script, as keyboards of many languages type them. Blanks and hyphens
    /// between them are ignored.
    ///
    /// # Errors
    ///
    /// [`CodeError::Totp`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let mut digits = String::with_capacity(usize::from(TOTP_DIGITS));
        for letter in text.chars().filter(|letter| !is_separator(*letter)) {
            if digits.len() == usize::from(TOTP_DIGITS) {
                return Err(CodeError::Totp);
            }
            digits.push(ascii_digit(letter).ok_or(CodeError::Totp)?);
        }
        let fits = digits.len() == usize::from(TOTP_DIGITS);
        fits.then(|| Self(Secret::new(digits)))
            .ok_or(CodeError::Totp)
    }

    /// The time step for which it is the code under `secret`, if any: the current, the previous or
    /// the next one at `now`.
    pub fn step(&self, secret: &Secret<[u8; TOTP_SECRET_BYTES]>, now: UnixTime) -> Option<u64> {
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(TOTP_DIGITS)
            .with_skew(SKEW)
            .with_step_duration(TOTP_STEP.as_secs())
            .with_secret(*secret.expose())
            .build()
            .ok()?;
        totp.check(self.0.expose(), now.as_secs())
    }
}

/// Blanks and hyphens, as people and password managers group a code.
const fn is_separator(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}'
        )
}

/// The zeros of the decimal digits (Unicode category Nd) of the scripts in common use; nine digits
/// follow each.
const ZEROS: [char; 20] = [
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}',
    '\u{17e0}', '\u{1810}', '\u{ff10}',
];

/// The ASCII form of a decimal digit.
fn ascii_digit(letter: char) -> Option<char> {
    ZEROS.iter().find_map(|zero| {
        let value = u32::from(letter).checked_sub(u32::from(*zero))?;
        char::from_digit(value, 10)
    })
}

/// A recovery code: valid for one login, without the device.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret<String>);

impl RecoveryCode {
    /// Encodes 80 random bits as a code.
    pub fn from_random(bits: &[u8; RECOVERY_CODE_BYTES]) -> Self {
        let mut text = String::with_capacity(16);
        // Five bytes are eight characters.
        for bytes in bits.chunks(5) {
            let number = bytes
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            for shift in [35, 30, 25, 20, 15, 10, 5, 0] {
                let letter = usize::try_from((number >> shift) & 31).unwrap_or_default();
                text.extend(ALPHABET.get(letter).map(|letter| char::from(*letter)));
            }
        }
        Self(Secret::new(text))
    }

    /// Parses a typed code: case, blanks and hyphens are ignored; `o` means zero, `i` and `l` mean
    /// one.
    ///
    /// # Errors
    ///
    /// [`CodeError::Recovery`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let letters = text.chars().filter(|letter| !matches!(letter, ' ' | '-'));
        let code: String = letters
            .map(|letter| match letter.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                letter => letter,
            })
            .take(17)
            .collect();
        let fits = code.len() == 16 && code.bytes().all(|byte| ALPHABET.contains(&byte));
        fits.then(|| Self(Secret::new(code)))
            .ok_or(CodeError::Recovery)
    }

    /// The code for display, in groups of four.
    pub fn to_text(&self) -> Secret<String> {
        let mut text = String::with_capacity(19);
        for (place, letter) in self.0.expose().chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        Secret::new(text)
    }

    /// The stored form: a MAC under a root key, bound to the owner.
    pub fn kept(&self, root_keys: &RootKeys, user_id: &Id) -> String {
        let code = root_keys.mac(Purpose::RecoveryCode, &self.parts(user_id));
        base64url::encode(code.get(..KEPT_BYTES).unwrap_or_default())
    }

    /// Whether `kept` is the stored form of this code.
    pub fn is(&self, kept: &str, root_keys: &RootKeys, user_id: &Id) -> bool {
        let kept = base64url::decode(kept).unwrap_or_default();
        root_keys.verify_mac(Purpose::RecoveryCode, &self.parts(user_id), &kept)
    }

    fn parts<'a>(&'a self, user_id: &'a Id) -> [&'a [u8]; 2] {
        [user_id.as_str().as_bytes(), self.0.expose().as_bytes()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The secret of RFC 6238's test vectors (appendix B, SHA-1).
    const SECRET: Secret<[u8; 20]> = Secret::new(*b"12345678901234567890");

    fn step(code: &str, now: u64) -> Option<u64> {
        let code = TotpCode::parse(code).expect("six digits");
        code.step(&SECRET, UnixTime::from_secs(now))
    }

    #[test]
    fn the_totp_vectors_of_rfc_6238_hold() {
        // The vectors have eight digits; six are their end (RFC 4226 §5.3).
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(code, now), Some(now / 30), "{code}");
        }
    }

    #[test]
    fn a_totp_code_may_be_one_time_step_off_and_no_more() {
        let at = 1_111_111_111 / 30;
        for (now, known) in [
            (at * 30 - 31, None),
            (at * 30 - 30, Some(at)),
            (at * 30 + 59, Some(at)),
            (at * 30 + 60, None),
        ] {
            assert_eq!(step("050471", now), known, "{now}");
        }
        assert_eq!(step("050472", at * 30), None);
    }

    #[test]
    fn a_totp_code_may_be_typed_in_any_script_and_grouped() {
        for zero in ZEROS {
            let typed: String = "287082"
                .bytes()
                .filter_map(|digit| char::from_u32(u32::from(zero) + u32::from(digit - b'0')))
                .collect();
            assert_eq!(step(&typed, 59), Some(1), "{typed}");
        }
        for typed in [
            "287 082",
            "287-082",
            " 28 70 82 ",
            "287\u{a0}082",
            "287\u{3000}082",
            "287\u{2013}082",
        ] {
            assert_eq!(step(typed, 59), Some(1), "{typed}");
        }
    }

    #[test]
    fn a_totp_code_is_exactly_six_digits() {
        assert!(TotpCode::parse("123 456").is_ok());
        for bad in [
            "",
            "12345",
            "1234567",
            "12345a",
            "1234567 ",
            "12\u{bd}456",
            "12\u{2460}456",
            "12\u{4e00}456",
            "-12345",
            "+12345",
        ] {
            assert_eq!(TotpCode::parse(bad).err(), Some(CodeError::Totp), "{bad}");
        }
        assert!(!format!("{:?}", TotpCode::parse("123456")).contains("123456"));
    }

    #[test]
    fn a_recovery_code_is_parsed_as_users_type_it() {
        let code = RecoveryCode::from_random(&[0, 1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc, 0xfb]);
        let text = code.to_text().expose().clone();
        assert_eq!(text, "000g-40r4-zzzf-vz7v");
        for typed in [
            "OOOG 4OR4 ZZZF VZ7V",
            "000g40r4zzzfvz7v",
            " 000g-40r4-zzzf-vz7v ",
        ] {
            let read = RecoveryCode::parse(typed).expect("a code");
            assert_eq!(read.to_text().expose(), &text, "{typed}");
        }
        for bad in [
            "",
            "000g-40r4-zzyz-vz7",
            "000g-40r4-zzzf-vz7vv",
            "u00g-40r4-zzzf-vz7v",
        ] {
            assert!(RecoveryCode::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_recovery_code_is_bound_to_its_owner_and_survives_a_root_key_rotation() {
        let document = |text: &str| RootKeys::parse(text.as_bytes()).expect("a document");
        let old = r#"{"id":"1","key":"old-old-old-old-old-old-old-old-old"}"#;
        let new = r#"{"id":"2","key":"new-new-new-new-new-new-new-new-new","previous":[OLD]}"#;
        let (first, second) = (document(old), document(&new.replace("OLD", old)));
        let (owner, other) = (Id::from_random([1; 16]), Id::from_random([2; 16]));
        let code = RecoveryCode::from_random(&[7; 10]);
        let kept = code.kept(&first, &owner);
        assert_eq!(kept.len(), 22);
        assert!(code.is(&kept, &first, &owner) && code.is(&kept, &second, &owner));
        assert!(!code.is(&kept, &first, &other));
        assert!(!RecoveryCode::from_random(&[8; 10]).is(&kept, &first, &owner));
        assert!(!code.is("", &first, &owner));
    }

    proptest! {
        #[test]
        fn a_displayed_recovery_code_parses_back(bits: [u8; 10]) {
            let text = RecoveryCode::from_random(&bits).to_text();
            let read = RecoveryCode::parse(text.expose()).expect("a code").to_text();
            prop_assert_eq!(read.expose(), text.expose());
        }

        #[test]
        fn any_text_is_parsed_or_rejected_as_code(text: String, now: u64) {
            let _ = RecoveryCode::parse(&text);
            if let Ok(code) = TotpCode::parse(&text) {
                let _ = code.step(&SECRET, UnixTime::from_secs(now >> 1));
            }
        }
    }
}
