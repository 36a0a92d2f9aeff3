//! Fingerprints of revocable identifiers.

use sha2::{Digest as _, Sha256};

use super::{RevocationTarget, TokenIds};

/// The first 128 bits of a SHA-256 over kind, issuer and identifier.
///
/// Unkeyed, because edges that share no secret with the hosts must compute it. SHA-256 makes a
/// second identifier with the same fingerprint infeasible.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Fingerprint(u128);

/// The fingerprints of one token; a revocation of any of them revokes the token.
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

    /// The first 32 bits, the only part that a fingerprint set keeps.
    pub(super) fn short(self) -> u32 {
        // The shifted value always fits.
        u32::try_from(self.0 >> 96).unwrap_or_default()
    }

    fn new(kind: u8, issuer: &str, id: &str) -> Self {
        // The length separates the end of `issuer` from the start of `id`.
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
    /// A digest of all identifiers and the generation. A cached lookup applies only to tokens with
    /// the same digest.
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
    fn fingerprints_differ_by_kind_issuer_and_id() {
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
    fn tokens_that_differ_in_any_identifier_have_different_digests() {
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
    fn the_fingerprint_value_is_fixed_because_packs_store_it() {
        // sha256(00 00*8 "t1"), computed by `openssl dgst -sha256`.
        let name = Fingerprint::of(&RevocationTarget::Token("t1".to_owned()));
        assert_eq!(
            format!("{:032x}", name.bits()),
            "8c1836a7cb23e0d787432d296416a658"
        );
        assert_eq!(format!("{:08x}", name.short()), "8c1836a7");
    }
}
