//! What one hash is made with, read from and written as a PHC string.

use argon2::password_hash::phc::{self, Ident, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use portcullis_core::password::{Password, PasswordHash};
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
    pub const TODAY: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The costliest hash that is still checked: a stored one may not exhaust the host.
    pub const MOST: Self = Self {
        memory_kib: 262_144,
        passes: 16,
        lanes: 16,
    };
}

impl Default for HashParameters {
    fn default() -> Self {
        Self::TODAY
    }
}

/// The parameters of one hash, today's or those a stored one was made with.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    params: Params,
    version: Version,
}

impl Recipe {
    /// For a new hash of 32 bytes.
    pub(super) fn of(parameters: HashParameters) -> Result<Self, HashError> {
        let HashParameters {
            memory_kib,
            passes,
            lanes,
        } = parameters;
        let params = Params::new(memory_kib, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN));
        Ok(Self {
            params: params.map_err(|_| HashError::Failed)?,
            version: Version::V0x13,
        })
    }

    /// Reads a stored hash: how it was made, its salt, and what came out.
    pub(super) fn read(stored: &PasswordHash) -> Result<(Self, Salt, Output), HashError> {
        let hash = phc::PasswordHash::new(stored.as_phc()).map_err(|_| HashError::Failed)?;
        let algorithm =
            Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| HashError::Failed)?;
        let params = Params::try_from(&hash).map_err(|_| HashError::Failed)?;
        // A string that leaves the version out was made with 16 (PHC string format).
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| HashError::Failed)?;
        let most = HashParameters::MOST;
        if algorithm != Algorithm::Argon2id
            || params.m_cost() > most.memory_kib
            || params.t_cost() > most.passes
            || params.p_cost() > most.lanes
        {
            return Err(HashError::Failed);
        }
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(HashError::Failed);
        };
        Ok((Self { params, version }, salt, output))
    }

    /// Whether a hash made with it is worth renewing.
    pub(super) fn is_lesser_than(&self, today: HashParameters) -> bool {
        self.params.m_cost() < today.memory_kib
            || self.params.t_cost() < today.passes
            || self.version < Version::V0x13
            || self.output_length() < Params::DEFAULT_OUTPUT_LEN
    }

    /// How many blocks of 1 KiB it fills.
    pub(super) const fn blocks(&self) -> usize {
        self.params.block_count()
    }

    /// Runs Argon2id in `blocks`.
    pub(super) fn run(
        &self,
        password: &Password,
        salt: &Salt,
        blocks: &mut [Block],
    ) -> Result<Output, HashError> {
        let mut bytes = Zeroizing::new([0; Output::MAX_LENGTH]);
        let bytes = bytes
            .get_mut(..self.output_length())
            .ok_or(HashError::Failed)?;
        Argon2::new(Algorithm::Argon2id, self.version, self.params.clone())
            .hash_password_into_with_memory(password.as_bytes(), salt, bytes, blocks)
            .map_err(|_| HashError::Failed)?;
        Output::new(bytes).map_err(|_| HashError::Failed)
    }

    /// The PHC string of a hash made with it.
    pub(super) fn write(&self, salt: Salt, output: Output) -> Result<PasswordHash, HashError> {
        let hash = phc::PasswordHash {
            algorithm: Ident::new("argon2id").map_err(|_| HashError::Failed)?,
            version: Some(self.version.into()),
            params: ParamsString::try_from(&self.params).map_err(|_| HashError::Failed)?,
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

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;

    use super::*;

    fn check(phc: &str, password: &str) -> Result<bool, HashError> {
        let (recipe, salt, expected) = Recipe::read(&PasswordHash::parse(phc).expect("PHC"))?;
        let password = Password::parse(&Secret::new(password.to_owned())).expect("short");
        let mut blocks = vec![Block::default(); recipe.blocks()];
        Ok(recipe.run(&password, &salt, &mut blocks)? == expected)
    }

    /// Made by the reference implementation (the vectors of phc-winner-argon2's test.c).
    #[test]
    fn hashes_of_the_reference_implementation_are_read() {
        for phc in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert_eq!(check(phc, "password"), Ok(true), "{phc}");
            assert_eq!(check(phc, "Password"), Ok(false), "{phc}");
        }
    }

    #[test]
    fn what_is_no_affordable_argon2id_hash_is_not_run() {
        for phc in [
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id",
        ] {
            let stored = PasswordHash::parse(phc).expect("PHC");
            assert_eq!(
                Recipe::read(&stored).map(|_| ()),
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
            let recipe = Recipe::of(parameters).expect("valid");
            assert_eq!(recipe.is_lesser_than(today), lesser, "{parameters:?}");
        }
    }
}
