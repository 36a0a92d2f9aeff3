//! Short names of what can be called back.

use sha2::{Digest as _, Sha256};

use super::{RevocationTarget, TokenIds};

/// The first 128 bits of a SHA-256 over kind, issuer and id.
///
/// Unkeyed, because hosts write them for edges that share no secret with them; a SHA-256, because
/// nobody can make another name that has them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Fingerprint(u128);

/// The names of one token: whatever of them was called back stops it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) token: Fingerprint,
    pub(super) session: Option<Fingerprint>,
    pub(super) subject: Fingerprint,
    pub(super) key: Fingerprint,
}

const TOKEN: u8 = 0;
const SESSION: u8 = 1;
const KEY: u8 = 2;
const SUBJECT: u8 = 3;

impl Fingerprint {
    pub(super) fn of(target: &RevocationTarget) -> Self {
        match target {
            RevocationTarget::Token(id) => Self::new(TOKEN, "", id),
            RevocationTarget::Session(id) => Self::new(SESSION, "", id),
            RevocationTarget::Key(id) => Self::new(KEY, "", id),
            RevocationTarget::Subject {
                issuer, subject, ..
            } => Self::new(SUBJECT, issuer, subject),
        }
    }

    pub(super) const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u128 {
        self.0
    }

    /// Its first 32 bits, which is all that a sieve keeps of it.
    pub(super) fn short(self) -> u32 {
        // Shifted so far it always fits.
        u32::try_from(self.0 >> 96).unwrap_or_default()
    }

    fn new(kind: u8, issuer: &str, id: &str) -> Self {
        // The length keeps apart what `issuer` ends with and `id` begins with.
        let length = u64::try_from(issuer.len()).unwrap_or(u64::MAX);
        let digest = Sha256::new()
            .chain_update([kind])
            .chain_update(length.to_be_bytes())
            .chain_update(issuer)
            .chain_update(id)
            .finalize();
        let half = digest.first_chunk().copied().unwrap_or_default();
        Self(u128::from_be_bytes(half))
    }
}

impl TokenIds<'_> {
    /// A name for all of it together, its generation too: what is found out about one token holds
    /// for those alone that have the same.
    pub fn digest(self) -> u128 {
        let generation = self
            .generation
            .map_or_else(String::new, |own| own.to_string());
        let names = Names::of(self);
        let parts = [names.token, names.subject, names.key].map(|name| name.0.to_be_bytes());
        let session = names.session.map(|name| name.0.to_be_bytes());
        let digest = Sha256::new()
            .chain_update(parts.concat())
            .chain_update(session.unwrap_or_default())
            .chain_update(generation)
            .finalize();
        u128::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
    }
}

impl Names {
    pub(super) fn of(token: TokenIds<'_>) -> Self {
        Self {
            token: Fingerprint::new(TOKEN, "", token.token_id),
            session: token.session_id.map(|id| Fingerprint::new(SESSION, "", id)),
            subject: Fingerprint::new(SUBJECT, token.issuer, token.subject),
            key: Fingerprint::new(KEY, "", token.key_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_issuer_and_id_each_tell_names_apart() {
        let names = [
            Fingerprint::new(TOKEN, "", "a"),
            Fingerprint::new(SESSION, "", "a"),
            Fingerprint::new(SUBJECT, "", "a"),
            Fingerprint::new(SUBJECT, "a", ""),
            Fingerprint::new(SUBJECT, "ab", "c"),
            Fingerprint::new(SUBJECT, "a", "bc"),
        ];
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name));
        }
    }

    #[test]
    fn tokens_that_differ_in_anything_have_other_digests() {
        let token = crate::revocation::tests::TOKEN;
        let others = [
            TokenIds {
                issuer: "them",
                ..token
            },
            TokenIds {
                subject: "bob",
                ..token
            },
            TokenIds {
                token_id: "t2",
                ..token
            },
            TokenIds {
                session_id: None,
                ..token
            },
            TokenIds {
                generation: None,
                ..token
            },
            TokenIds {
                generation: Some(4),
                ..token
            },
            TokenIds {
                key_id: "k2",
                ..token
            },
        ];
        let all: std::collections::BTreeSet<_> = others.map(TokenIds::digest).into();
        assert_eq!(all.len(), 7);
        assert!(!all.contains(&token.digest()));
    }

    #[test]
    fn its_value_is_fixed_since_packs_hold_it() {
        // sha256(00 00*8 "t1"), computed by `openssl dgst -sha256`.
        let name = Fingerprint::of(&RevocationTarget::Token("t1".to_owned()));
        assert_eq!(
            format!("{:032x}", name.bits()),
            "8c1836a7cb23e0d787432d296416a658"
        );
        assert_eq!(format!("{:08x}", name.short()), "8c1836a7");
    }
}
