//! What one hash is made with, read from and written as a PHC string.

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
    /// The memory it fills, in KiB (`m`).
    pub memory_kib: u32,
    /// How often it goes over that memory (`t`).
    pub passes: u32,
    /// Into how many lanes the memory is parted (`p`).
    pub lanes: u32,
}

impl HashParameters {
    /// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
    pub const CURRENT: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The costliest hash that is still checked: a stored one may not exhaust the host.
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

/// How far one hash may go over its memory, in KiB times passes.
const MAX_FILLED_KIB: u64 = 1_048_576;

/// A secret that goes into every hash and is kept where no hash is ([RFC 9106 §3.1] calls it `K`).
///
/// [RFC 9106 §3.1]: https://www.rfc-editor.org/rfc/rfc9106#section-3.1
#[derive(Clone)]
pub(super) struct Pepper {
    pub(super) key_id: String,
    key: Zeroizing<[u8; MAC_BYTES]>,
}

impl Pepper {
    /// The pepper of the root key called `key_id`; `None` if it is not kept any more.
    pub(super) fn of(vault: &RootKeys, key_id: &str) -> Option<Self> {
        let key = vault.code_under(key_id, Purpose::Pepper, &[b"argon2"])?;
        Some(Self {
            key_id: key_id.to_owned(),
            key: Zeroizing::new(key),
        })
    }
}

/// The parameters of one hash, today's or those a stored one was made with.
#[derive(Clone, Debug)]
pub(super) struct HashConfig {
    algorithm: Algorithm,
    params: Params,
    version: Version,
}

/// An Argon2 hash, read.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    pub(super) recipe: HashConfig,
    pub(super) salt: Salt,
    /// `None` for a decoy, which matches nothing.
    pub(super) expected: Option<Output>,
    /// The root key whose pepper is in it.
    pub(super) key_id: Option<String>,
}

impl HashConfig {
    /// For a new hash of 32 bytes.
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

    /// Reads a stored hash: how it was made, its salt, and what came out.
    pub(super) fn read(stored: &PasswordHash) -> Result<Argon2Hash, HashError> {
        let hash = phc::PasswordHash::new(stored.as_phc()).map_err(|_| HashError::Failed)?;
        let algorithm =
            Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| HashError::Failed)?;
        // A string that leaves the version out was made with 16 (PHC string format).
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| HashError::Failed)?;
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(HashError::Failed);
        };
        let number = |name: &str| hash.params.get_decimal(name).ok_or(HashError::Failed);
        let (memory_kib, passes, lanes) = (number("m")?, number("t")?, number("p")?);
        let key_id = hash.params.get_str("keyid").map(read_key_id).transpose()?;
        // Anything else (`data`, say) went into the hash, and is not known here.
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

    /// Whether a run takes as long as one of `today`.
    pub(super) fn costs(&self, today: HashParameters) -> bool {
        self.params.m_cost() == today.memory_kib
            && self.params.t_cost() == today.passes
            && self.params.p_cost() == today.lanes
    }

    /// Whether a hash made with it is worth renewing.
    pub(super) fn is_lesser_than(&self, today: HashParameters) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.params.m_cost() < today.memory_kib
            || self.params.t_cost() < today.passes
            || self.version < Version::V0x13
            || self.output_length() < Params::DEFAULT_OUTPUT_LEN
    }

    /// How many blocks of 1 KiB it fills.
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

    /// The PHC string of a hash made with it.
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

/// The name of a root key, as the parameter has it: base64 of letters and digits.
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

    /// Made by the reference implementation (the vectors of phc-winner-argon2's test.c).
    #[test]
    fn hashes_of_the_reference_implementation_are_read() {
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
    fn what_is_no_affordable_argon2_hash_is_not_run() {
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
    fn lesser_is_any_cost_below_todays() {
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
