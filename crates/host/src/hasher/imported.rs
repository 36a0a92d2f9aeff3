//! Hashes of other systems, so that a team can import its users: bcrypt, scrypt and PBKDF2. They
//! are verified until the next login of their owner, and never created.
//!
//! Each kind has a maximum cost, so that no stored row can block a core for more than seconds or
//! fill the memory.

use data_encoding::BASE64_NOPAD;
use pbkdf2::pbkdf2_hmac;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_service::ports::HashError;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::hasher::hash_config::HashParameters;

/// The maximum bcrypt cost: about one second.
const MAX_BCRYPT_COST: u32 = 14;

/// The maximum number of PBKDF2 rounds; OWASP recommends 600 000.
const MAX_ROUNDS: u32 = 2_000_000;

/// The maximum work of one scrypt hash, in KiB: twice its maximum memory.
const MAX_MIXED_KIB: u64 = 524_288;

/// The accepted lengths of a derived key, in bytes.
const KEY_BYTES: core::ops::RangeInclusive<usize> = 16..=64;

/// The maximum length of a salt, in bytes.
const MAX_SALT_BYTES: usize = 64;

/// A hash of another system.
#[derive(Clone)]
pub(super) enum Imported {
    /// `$2b$12$..`, also `2a` and `2y`. bcrypt reads the first 72 bytes of a password only.
    Bcrypt(PasswordHash),
    /// `$scrypt$ln=16,r=8,p=1$salt$key`.
    Scrypt(scrypt::Params, Derived),
    /// `$pbkdf2-sha256$i=600000,l=32$salt$key`, and passlib's `$pbkdf2-sha256$600000$salt$key`.
    Pbkdf2(Digest, u32, Derived),
}

/// The hash function of PBKDF2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Digest {
    Sha256,
    Sha512,
}

/// The inputs of a derived key, and the key.
#[derive(Clone)]
pub(super) struct Derived {
    salt: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Imported {
    /// Parses a hash of another kind than Argon2.
    pub(super) fn read(stored: &PasswordHash) -> Result<Self, HashError> {
        let phc = stored.as_phc();
        let mut parts = phc.split('$').skip(1);
        let kind = parts.next().unwrap_or_default();
        if matches!(kind, "2a" | "2b" | "2y") {
            let cost = parts.next().and_then(|cost| cost.parse().ok());
            let fits = cost.is_some_and(|cost| (4..=MAX_BCRYPT_COST).contains(&cost));
            // The kind's own parser decides; a run with any password reveals nothing.
            return match fits && phc.len() == 60 && is_bcrypt_text(phc) {
                true => Ok(Self::Bcrypt(stored.clone())),
                false => Err(HashError::Failed),
            };
        }
        let (Some(parameters), Some(salt), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HashError::Failed);
        };
        let derived = Derived::read(salt, key).ok_or(HashError::Failed)?;
        let read = match kind {
            "scrypt" => scrypt_parameters(parameters).map(|read| Self::Scrypt(read, derived)),
            "pbkdf2-sha256" => rounds(parameters, &derived)
                .map(|rounds| Self::Pbkdf2(Digest::Sha256, rounds, derived)),
            "pbkdf2-sha512" => rounds(parameters, &derived)
                .map(|rounds| Self::Pbkdf2(Digest::Sha512, rounds, derived)),
            _ => None,
        };
        read.ok_or(HashError::Failed)
    }

    /// The memory of a verification, in KiB.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Bcrypt(_) | Self::Pbkdf2(..) => 8,
            Self::Scrypt(parameters, _) => {
                let kib = filled_kib(parameters.log_n(), parameters.r());
                kib.and_then(|kib| u32::try_from(kib).ok())
                    .unwrap_or(u32::MAX)
            }
        }
    }

    /// Whether it is the hash of `password`.
    pub(super) fn matches(&self, password: &Password) -> Result<bool, HashError> {
        match self {
            Self::Bcrypt(stored) => {
                bcrypt::verify(password.as_bytes(), stored.as_phc()).map_err(|_| HashError::Failed)
            }
            Self::Scrypt(parameters, derived) => derived.is_key(|salt, key| {
                scrypt::scrypt(password.as_bytes(), salt, parameters, key)
                    .map_err(|_| HashError::Failed)
            }),
            Self::Pbkdf2(digest, rounds, derived) => derived.is_key(|salt, key| {
                match digest {
                    Digest::Sha256 => {
                        pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, *rounds, key);
                    }
                    Digest::Sha512 => {
                        pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, *rounds, key);
                    }
                }
                Ok(())
            }),
        }
    }
}

impl Derived {
    fn read(salt: &str, key: &str) -> Option<Self> {
        // passlib writes `.` for `+`, and no hash contains both.
        let bytes = |text: &str| BASE64_NOPAD.decode(text.replace('.', "+").as_bytes()).ok();
        let (salt, key) = (bytes(salt)?, Zeroizing::new(bytes(key)?));
        let fits = salt.len() <= MAX_SALT_BYTES && KEY_BYTES.contains(&key.len());
        fits.then_some(Self { salt, key })
    }

    fn is_key(
        &self,
        derive: impl FnOnce(&[u8], &mut [u8]) -> Result<(), HashError>,
    ) -> Result<bool, HashError> {
        let mut key = Zeroizing::new(vec![0; self.key.len()]);
        derive(&self.salt, &mut key)?;
        Ok(bool::from(key.ct_eq(&self.key)))
    }
}

/// 53 characters of bcrypt's own base64 after the cost.
fn is_bcrypt_text(phc: &str) -> bool {
    let text = phc.bytes().skip(7);
    phc.as_bytes().get(6) == Some(&b'$')
        && text
            .clone()
            .all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte))
}

/// `ln=16,r=8,p=1`.
fn scrypt_parameters(text: &str) -> Option<scrypt::Params> {
    let mut members = text.split(',');
    let mut number = |name: &str| -> Option<u32> {
        let (found, value) = members.next()?.split_once('=')?;
        (found == name).then(|| value.parse().ok()).flatten()
    };
    let (log_n, r, p) = (number("ln")?, number("r")?, number("p")?);
    let log_n = u8::try_from(log_n)
        .ok()
        .filter(|log_n| (1..=20).contains(log_n))?;
    let filled = filled_kib(log_n, r)
        .filter(|kib| *kib <= u64::from(HashParameters::MAX_ACCEPTED.memory_kib));
    filled?
        .checked_mul(u64::from(p))
        .filter(|kib| *kib <= MAX_MIXED_KIB)?;
    // Each of the `p` lanes has one block in addition.
    let lanes = u64::from(p).checked_mul(u64::from(r))?;
    if members.next().is_some() || lanes > 1_024 {
        return None;
    }
    scrypt::Params::new(log_n, r, p).ok()
}

/// 128 bytes times `r` times N, in KiB.
fn filled_kib(log_n: u8, r: u32) -> Option<u64> {
    let n = 1_u64.checked_shl(u32::from(log_n))?;
    Some(
        n.checked_mul(u64::from(r))?
            .checked_mul(128)?
            .div_ceil(1_024),
    )
}

/// `i=600000`, `i=600000,l=32`, or `600000` alone.
fn rounds(text: &str, derived: &Derived) -> Option<u32> {
    let mut members = text.split(',');
    let first = members.next()?;
    let rounds: u32 = first.strip_prefix("i=").unwrap_or(first).parse().ok()?;
    if let Some(length) = members.next() {
        let length: usize = length.strip_prefix("l=")?.parse().ok()?;
        (length == derived.key.len()).then_some(())?;
    }
    let fits = (1..=MAX_ROUNDS).contains(&rounds) && members.next().is_none();
    fits.then_some(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(phc: &str) -> Result<Imported, HashError> {
        Imported::read(&PasswordHash::parse(phc).expect("printable"))
    }

    const SALT_AND_KEY: &str = "AAECAwQFBgcICQoLDA0ODw$KNnI6qMWHAqAnT0mrq8B0juulbkyG7uC+HoDGNtkZlg";

    #[test]
    fn an_imported_hash_over_the_cost_limit_is_rejected() {
        for (parameters, reads) in [
            ("scrypt$ln=17,r=8,p=1", true),
            ("scrypt$ln=18,r=8,p=1", true),
            ("scrypt$ln=19,r=8,p=1", false),
            ("scrypt$ln=18,r=8,p=2", true),
            ("scrypt$ln=18,r=8,p=3", false),
            ("scrypt$ln=1,r=1,p=1024", true),
            ("scrypt$ln=1,r=4294967295,p=4294967295", false),
            ("scrypt$ln=1,r=0,p=1", false),
            ("scrypt$ln=64,r=8,p=1", false),
            ("scrypt$r=8,ln=17,p=1", false),
            ("scrypt$ln=17,r=8,p=1,x=1", false),
            ("pbkdf2-sha256$2000000", true),
            ("pbkdf2-sha256$2000001", false),
            ("pbkdf2-sha512$i=210000,l=32", true),
            ("pbkdf2-sha512$i=210000,l=33", false),
            ("pbkdf2-sha512$0", false),
            ("pbkdf2-sha1$i=1000", false),
            ("md5-crypt$1", false),
        ] {
            let read = read(&format!("${parameters}${SALT_AND_KEY}"));
            assert_eq!(read.is_ok(), reads, "{parameters}");
        }
        for (cost, reads) in [
            ("04", true),
            ("14", true),
            ("15", false),
            ("03", false),
            ("xx", false),
        ] {
            let phc = format!("$2b${cost}$AOt4lV8x5xcMyNnsIbi.ZuGejoCl0NclWuF25DSWHiJrvKXFRSGpm");
            assert_eq!(read(&phc).is_ok(), reads, "{cost}");
        }
    }

    #[test]
    fn a_malformed_imported_hash_is_rejected() {
        for phc in [
            "$2b$12$abcdefghijklmnopqrstuv",
            "$2x$04$AOt4lV8x5xcMyNnsIbi.ZuGejoCl0NclWuF25DSWHiJrvKXFRSGpm",
            "$2b$04$AOt4lV8x5xcMyNnsIbi+ZuGejoCl0NclWuF25DSWHiJrvKXFRSGpm",
            "$pbkdf2-sha256$1000$AAECAwQFBgcICQoLDA0ODw$KNnI6qMWHAqAnT",
            "$pbkdf2-sha256$1000$AAECAwQFBgcICQoLDA0ODw",
            "$pbkdf2-sha256$1000$!$!",
            "$",
        ] {
            assert!(read(phc).is_err(), "{phc}");
        }
    }
}
