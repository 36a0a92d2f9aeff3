//! RSA moduli that are safe for signature verification.

use core::fmt;

use thiserror::Error;

/// The minimum size of an RSA modulus, in bits ([RFC 7518 §3.3]).
///
/// [RFC 7518 §3.3]: https://www.rfc-editor.org/rfc/rfc7518#section-3.3
pub const MIN_RSA_BITS: usize = 2_048;

/// The maximum size, in bits. Every implementation agrees up to here; beyond it one signature check
/// costs milliseconds at the edge.
pub const MAX_RSA_BITS: usize = 4_096;

/// An RSA modulus: 2048 to 4096 bits, odd, without the ROCA fingerprint.
#[derive(Clone, Eq, PartialEq)]
pub struct RsaModulus(Vec<u8>);

/// The reason why a modulus is rejected.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RsaModulusError {
    /// The modulus starts with a zero octet (RFC 7518 §6.3.1.1) or is empty.
    #[error("the modulus is empty or starts with a zero octet")]
    NotMinimal,
    /// The modulus has fewer than 2048 bits.
    #[error("the modulus has fewer than 2048 bits")]
    TooShort,
    /// The modulus has more than 4096 bits.
    #[error("the modulus has more than 4096 bits")]
    TooLong,
    /// The modulus is even, so one of its primes is 2.
    #[error("the modulus is even")]
    Even,
    /// The modulus comes from a generator with factorable keys (CVE-2017-15361).
    #[error("the modulus has the ROCA fingerprint")]
    Roca,
}

impl RsaModulus {
    /// Checks the big-endian octets of a modulus.
    ///
    /// # Errors
    ///
    /// The first [`RsaModulusError`] that applies.
    pub fn new(octets: Vec<u8>) -> Result<Self, RsaModulusError> {
        let (Some(first), Some(last)) = (octets.first(), octets.last()) else {
            return Err(RsaModulusError::NotMinimal);
        };
        if *first == 0 {
            return Err(RsaModulusError::NotMinimal);
        }
        // With its top bit set, a modulus of 256 octets has 2048 bits; 512 octets hold 4096.
        if octets.len() < MIN_RSA_BITS / 8 || octets.len() == MIN_RSA_BITS / 8 && *first < 0x80 {
            return Err(RsaModulusError::TooShort);
        }
        if octets.len() > MAX_RSA_BITS / 8 {
            return Err(RsaModulusError::TooLong);
        }
        if last % 2 == 0 {
            return Err(RsaModulusError::Even);
        }
        if has_roca_fingerprint(&octets) {
            return Err(RsaModulusError::Roca);
        }
        Ok(Self(octets))
    }

    /// The big-endian octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RsaModulus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaModulus({} octets)", self.0.len())
    }
}

/// The flawed generator creates primes `k * M + 65537^a mod M`, so its moduli are powers of 65537
/// modulo each small prime that divides `M`. A sound modulus has this property for all of them with
/// probability 2^-27 ("The Return of Coppersmith's Attack", Nemec et al., CCS 2017, §2).
fn has_roca_fingerprint(octets: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [
        11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
    ];
    PRIMES
        .iter()
        .all(|prime| is_power_of_65537(remainder(octets, *prime), *prime))
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "both factors stay below 157 * 256 + 255"
)]
fn remainder(octets: &[u8], prime: u32) -> u32 {
    octets
        .iter()
        .fold(0, |rest, octet| (rest * 256 + u32::from(*octet)) % prime)
}

#[expect(clippy::arithmetic_side_effects, reason = "both factors are below 157")]
const fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * generator % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(octets: usize, first: u8) -> Vec<u8> {
        let mut modulus = vec![0xa5; octets];
        modulus[0] = first;
        modulus.push(0x01);
        modulus
    }

    #[test]
    fn the_modulus_size_has_a_minimum_and_a_maximum() {
        assert_eq!(
            RsaModulus::new(modulus(255, 0x7f)),
            Err(RsaModulusError::TooShort)
        );
        assert!(RsaModulus::new(modulus(255, 0x80)).is_ok());
        assert!(RsaModulus::new(modulus(511, 0xff)).is_ok());
        assert_eq!(
            RsaModulus::new(modulus(512, 0x01)),
            Err(RsaModulusError::TooLong)
        );
    }

    #[test]
    fn a_modulus_must_be_odd_and_without_leading_zero() {
        assert_eq!(RsaModulus::new(vec![]), Err(RsaModulusError::NotMinimal));
        let padded = [vec![0], modulus(255, 0x80)].concat();
        assert_eq!(RsaModulus::new(padded), Err(RsaModulusError::NotMinimal));
        let mut even = modulus(255, 0x80);
        even[255] = 2;
        assert_eq!(RsaModulus::new(even), Err(RsaModulusError::Even));
    }

    #[test]
    fn a_power_of_65537_has_the_roca_fingerprint() {
        // 65537^128 has 2049 bits, is odd, and is such a power modulo every prime.
        let mut octets = vec![1_u8];
        for _ in 0..128 {
            let mut carry = 0_u32;
            for octet in octets.iter_mut().rev() {
                let product = u32::from(*octet).wrapping_mul(65_537).wrapping_add(carry);
                *octet = product.to_be_bytes()[3];
                carry = product >> 8;
            }
            let head = carry.to_be_bytes();
            let zeros = head.iter().take_while(|octet| **octet == 0).count();
            octets.splice(0..0, head.into_iter().skip(zeros));
        }
        assert_eq!(RsaModulus::new(octets), Err(RsaModulusError::Roca));
        assert!(!has_roca_fingerprint(&modulus(255, 0x80)));
    }
}
