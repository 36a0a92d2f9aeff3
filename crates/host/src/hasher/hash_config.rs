//! The parameters of one hash, read from and written as a PHC string.

use argon2::password_hash::phc::{self, Ident, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::BASE64_NOPAD;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_core::root_keys::{MAC_BYTES, Purpose, RootKeys};
use portcullis_service::ports::HashError;
use zeroize::Zeroizing;

/// The cost of a hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashParameters {
    /// The memory in KiB (`m`).
    pub memory_kib: u32,
    /// The number of passes over the memory (`t`).
    pub passes: u32,
    /// The number of lanes (`p`).
    pub lanes: u32,
}

impl HashParameters {
    /// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
    pub const CURRENT: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The maximum cost of a stored hash, so that none can exhaust the host.
    pub const MAX_ACCEPTED: Self = Self {
        memory_kib: 262_144,
        passes: 16,
        lanes: 16,
    };
}

impl Default for HashParameters {
    fn default() -> Self {
        Self::CURRENT
    }
}

/// The maximum work of one hash, in KiB times passes.
const MAX_FILLED_KIB: u64 = 1_048_576;

/// A secret input of every hash, stored apart from the hashes ([RFC 9106 §3.1] calls it `K`).
///
/// [RFC 9106 §3.1]: https://www.rfc-editor.org/rfc/rfc9106#section-3.1
#[derive(Clone)]
pub(super) struct Pepper {
    pub(super) key_id: String,
    key: Zeroizing<[u8; MAC_BYTES]>,
}

impl Pepper {
    /// The pepper of the root key `key_id`; `None` if that key is no longer kept.
    pub(super) fn of(root_keys: &RootKeys, key_id: &str) -> Option<Self> {
        let key = root_keys.code_under(key_id, Purpose::Pepper, &[b"argon2"])?;
        Some(Self {
            key_id: key_id.to_owned(),
            key: Zeroizing::new(key),
        })
    }
}

/// The parameters of one hash: the current ones, or those of a stored hash.
#[derive(Clone, Debug)]
pub(super) struct HashConfig {
    algorithm: Algorithm,
    params: Params,
    version: Version,
}

/// A parsed Argon2 hash.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    pub(super) recipe: HashConfig,
    pub(super) salt: Salt,
    /// `None` for a decoy, which matches nothing.
    pub(super) expected: Option<Output>,
    /// The root key of its pepper.
    pub(super) key_id: Option<String>,
}

impl HashConfig {
    /// The parameters of a new hash of 32 bytes.
    pub(super) fn of(parameters: HashParameters) -> Result<Self, HashError> {
        let HashParameters {
            memory_kib,
            passes,
            lanes,
        } = parameters;
        let params = Params::new(memory_kib, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN));
        Ok(Self {
            algorithm: Algorithm::Argon2id,
            params: params.map_err(|_| HashError::Failed)?,
            version: Version::V0x13,
        })
    }

    /// Parses a stored hash: parameters, salt and output.
    pub(super) fn read(stored: &PasswordHash) -> Result<Argon2Hash, HashError> {
        let hash = phc::PasswordHash::new(stored.as_phc()).map_err(|_| HashError::Failed)?;
        let algorithm =
            Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| HashError::Failed)?;
        // A PHC string without a version means version 16.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| HashError::Failed)?;
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(HashError::Failed);
        };
        let number = |name: &str| hash.params.get_decimal(name).ok_or(HashError::Failed);
        let (memory_kib, passes, lanes) = (number("m")?, number("t")?, number("p")?);
        let key_id = hash.params.get_str("keyid").map(read_key_id).transpose()?;
        // Any other parameter (such as `data`) is an unknown input of the hash.
        let known = if key_id.is_some() { 4 } else { 3 };
        let (most, filled) = (
            HashParameters::MAX_ACCEPTED,
            u64::from(memory_kib).saturating_mul(u64::from(passes)),
        );
        if hash.params.iter().count() != known
            || memory_kib > most.memory_kib
            || passes > most.passes
            || lanes > most.lanes
            || filled > MAX_FILLED_KIB
        {
            return Err(HashError::Failed);
        }
        let params = Params::new(memory_kib, passes, lanes, Some(output.len()));
        Ok(Argon2Hash {
            recipe: Self {
                algorithm,
                params: params.map_err(|_| HashError::Failed)?,
                version,
            },
            salt,
            expected: Some(output),
            key_id,
        })
    }

    /// Whether a run takes as long as one with `today`.
    pub(super) fn costs(&self, today: HashParameters) -> bool {
        self.params.m_cost() == today.memory_kib
            && self.params.t_cost() == today.passes
            && self.params.p_cost() == today.lanes
    }

    /// Whether a hash with these parameters is outdated.
    pub(super) fn is_lesser_than(&self, today: HashParameters) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.params.m_cost() < today.memory_kib
            || self.params.t_cost() < today.passes
            || self.version < Version::V0x13
            || self.output_length() < Params::DEFAULT_OUTPUT_LEN
    }

    /// The number of blocks of 1 KiB.
    pub(super) const fn blocks(&self) -> usize {
        self.params.block_count()
    }

    /// Runs Argon2 in `blocks`.
    pub(super) fn run(
        &self,
        password: &Password,
        salt: &Salt,
        pepper: Option<&Pepper>,
        blocks: &mut [Block],
    ) -> Result<Output, HashError> {
        let mut bytes = Zeroizing::new([0; Output::MAX_LENGTH]);
        let bytes = bytes
            .get_mut(..self.output_length())
            .ok_or(HashError::Failed)?;
        let secret = pepper.map_or(&[][..], |pepper| &pepper.key[..]);
        Argon2::new_with_secret(secret, self.algorithm, self.version, self.params.clone())
            .and_then(|argon2| {
                argon2.hash_password_into_with_memory(password.as_bytes(), salt, bytes, blocks)
            })
            .map_err(|_| HashError::Failed)?;
        Output::new(bytes).map_err(|_| HashError::Failed)
    }

    /// The PHC string of a hash with these parameters.
    pub(super) fn write(
        &self,
        salt: Salt,
        pepper: Option<&Pepper>,
        output: Output,
    ) -> Result<PasswordHash, HashError> {
        let mut params = ParamsString::try_from(&self.params).map_err(|_| HashError::Failed)?;
        if let Some(pepper) = pepper {
            params
                .add_b64_bytes("keyid", pepper.key_id.as_bytes())
                .map_err(|_| HashError::Failed)?;
        }
        let hash = phc::PasswordHash {
            algorithm: Ident::new("argon2id").map_err(|_| HashError::Failed)?,
            version: Some(self.version.into()),
            params,
            salt: Some(salt),
            hash: Some(output),
        };
        PasswordHash::parse(&Zeroizing::new(hash.to_string())).map_err(|_| HashError::Failed)
    }

    fn output_length(&self) -> usize {
        self.params
            .output_len()
            .unwrap_or(Params::DEFAULT_OUTPUT_LEN)
    }
}

/// The identifier of a root key, as the parameter encodes it: base64 of letters and digits.
fn read_key_id(text: &str) -> Result<String, HashError> {
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok();
    let key_id = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key_id.ok_or(HashError::Failed)
}

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;

    use super::*;

    fn check(phc: &str, password: &str) -> Result<bool, HashError> {
        let hash = HashConfig::read(&PasswordHash::parse(phc).expect("PHC"))?;
        let password = Password::parse(&Secret::new(password.to_owned())).expect("short");
        let mut blocks = vec![Block::default(); hash.recipe.blocks()];
        let output = hash.recipe.run(&password, &hash.salt, None, &mut blocks)?;
        Ok(Some(output) == hash.expected)
    }

    /// From the reference implementation (the vectors of phc-winner-argon2's test.c).
    #[test]
    fn hashes_of_the_argon2_reference_implementation_verify() {
        for phc in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert_eq!(check(phc, "password"), Ok(true), "{phc}");
            assert_eq!(check(phc, "Password"), Ok(false), "{phc}");
        }
    }

    #[test]
    fn an_argon2_hash_over_the_cost_limit_is_rejected() {
        for phc in [
            "$argon2id$v=19$m=256,t=2,p=1,data=c29tZXNhbHQ$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=262144,t=5,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id",
        ] {
            let stored = PasswordHash::parse(phc).expect("PHC");
            assert_eq!(
                HashConfig::read(&stored).map(|_| ()),
                Err(HashError::Failed),
                "{phc}"
            );
        }
    }

    #[test]
    fn a_hash_is_outdated_if_any_cost_is_below_the_current_one() {
        let today = HashParameters {
            memory_kib: 256,
            passes: 2,
            lanes: 1,
        };
        for (parameters, lesser) in [
            (today, false),
            (
                HashParameters {
                    memory_kib: 255,
                    ..today
                },
                true,
            ),
            (HashParameters { passes: 1, ..today }, true),
            (
                HashParameters {
                    memory_kib: 512,
                    passes: 3,
                    lanes: 2,
                },
                false,
            ),
        ] {
            let recipe = HashConfig::of(parameters).expect("valid");
            assert_eq!(recipe.is_lesser_than(today), lesser, "{parameters:?}");
        }
    }
}
