//! Converts Django's password hashes to the stored PHC form.
//!
//! The hash value stays the same: Django separates salt and cost differently, and uses the salt as
//! text.

use data_encoding::{BASE64, BASE64_NOPAD};
use portcullis_core::secret::Secret;

/// `hash` as a PHC string if it is in Django's format, else unchanged.
///
/// `bcrypt_sha256` stays unchanged and is rejected by the parser: it hashes a digest of the
/// password, and no stored form supports that.
pub(super) fn as_phc(hash: &str) -> Secret<String> {
    Secret::new(rewritten(hash).unwrap_or_else(|| hash.to_owned()))
}

fn rewritten(hash: &str) -> Option<String> {
    let (kind, rest) = hash.split_once('$')?;
    match kind {
        "argon2" => Some(format!("${rest}")),
        // The rest starts with its own `$`.
        "bcrypt" => Some(rest.to_owned()),
        "pbkdf2_sha256" => pbkdf2(rest),
        "scrypt" => scrypt(rest),
        _ => None,
    }
}

/// `rounds$salt$key`.
fn pbkdf2(rest: &str) -> Option<String> {
    let [rounds, salt, key] = parts(rest)?;
    let tail = salt_and_key(salt, key)?;
    Some(format!("$pbkdf2-sha256$i={rounds}${tail}"))
}

/// `N$salt$r$p$key`.
fn scrypt(rest: &str) -> Option<String> {
    let [n, salt, r, p, key] = parts(rest)?;
    let n: u64 = n.parse().ok()?;
    let log_n = n.is_power_of_two().then(|| n.trailing_zeros())?;
    let tail = salt_and_key(salt, key)?;
    Some(format!("$scrypt$ln={log_n},r={r},p={p}${tail}"))
}

fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

fn salt_and_key(salt: &str, key: &str) -> Option<String> {
    let key = BASE64.decode(key.as_bytes()).ok()?;
    let salt = BASE64_NOPAD.encode(salt.as_bytes());
    Some(format!("{salt}${}", BASE64_NOPAD.encode(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_in_another_format_than_django_stays_unchanged() {
        for hash in [
            "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
            "$scrypt$ln=16,r=8,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw",
            "bcrypt_sha256$$2b$12$abcdefghijklmnopqrstuu",
            "pbkdf2_sha256$1000$salt",
            "pbkdf2_sha256$1000$salt$key$more",
            "pbkdf2_sha256$1000$salt$not base64",
            "scrypt$1000$salt$8$1$AAAA",
            "md5$salt$00",
            "!",
            "",
        ] {
            assert_eq!(as_phc(hash).expose(), hash);
        }
    }

    #[test]
    fn django_hashes_are_converted_without_changing_cost_salt_and_key() {
        for (django, phc) in [
            (
                "pbkdf2_sha256$1000$salty$AAECAwQFBgcICQoLDA0ODw==",
                "$pbkdf2-sha256$i=1000$c2FsdHk$AAECAwQFBgcICQoLDA0ODw",
            ),
            (
                "scrypt$16384$salty$8$5$AAECAwQFBgcICQoLDA0ODw==",
                "$scrypt$ln=14,r=8,p=5$c2FsdHk$AAECAwQFBgcICQoLDA0ODw",
            ),
            (
                "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA",
                "$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA",
            ),
            ("bcrypt$$2b$04$rest", "$2b$04$rest"),
        ] {
            assert_eq!(as_phc(django).expose(), phc);
        }
    }
}
