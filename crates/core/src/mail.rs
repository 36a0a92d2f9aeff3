//! Mails and mailed links, which prove access to the mailbox of an address.
//!
//! SECURITY: a link holds a token for one purpose and one account. The store keeps only its digest
//! and expiry beside the account, so a leaked store or backup contains no usable token.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{MAC_BYTES, Purpose, RootKeys};
use crate::secret::Secret;
use crate::time::UnixTime;

/// The subject of a mail.
///
/// Exhaustive on purpose: each kind has its own template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailKind {
    /// A link that verifies the address.
    Verify,
    /// A link that sets a new password.
    Reset,
    /// A link that registers the browser as known, after too many failed logins to the address.
    Unlock,
    /// A client tried to register the address, which already has an account.
    AlreadyRegistered,
    /// The password was changed.
    PasswordChanged,
}

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Verify,
        Self::Reset,
        Self::Unlock,
        Self::AlreadyRegistered,
        Self::PasswordChanged,
    ];

    /// The stable identifier, for the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
            Self::AlreadyRegistered => "taken",
            Self::PasswordChanged => "password_changed",
        }
    }

    /// The kind with this identifier.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The purpose of a mailed token; a token is invalid for any other purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailPurpose {
    /// To verify the address.
    Verify,
    /// To set a new password.
    Reset,
    /// To log in from an unknown browser after too many failed logins.
    Unlock,
}

impl MailPurpose {
    /// The stable identifier: an input of the secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
        }
    }
}

/// The token of a mailed link: `<user id>.<secret>`. The user ID finds the account, the secret
/// proves access to the mail.
#[derive(Clone, Debug)]
pub struct MailToken {
    user_id: Id,
    secret: Secret<[u8; MAC_BYTES]>,
}

/// The text is no mail token. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not the token of a mailed link")]
pub struct MailTokenError;

impl MailToken {
    /// The token of the mail `mail_id`. It is derived, so every retry of a mail has the same token
    /// and the outbox holds no secret.
    pub fn of_mail(vault: &RootKeys, mail_id: &Id, purpose: MailPurpose, user_id: &Id) -> Self {
        let parts = [mail_id.as_str(), purpose.as_str(), user_id.as_str()].map(str::as_bytes);
        Self {
            user_id: user_id.clone(),
            secret: Secret::new(vault.mac(Purpose::MailToken, &parts)),
        }
    }

    /// Parses a token from a link.
    ///
    /// # Errors
    ///
    /// [`MailTokenError`].
    pub fn parse(text: &Secret<String>) -> Result<Self, MailTokenError> {
        let (user_id, secret) = text.expose().split_once('.').ok_or(MailTokenError)?;
        let user_id = Id::parse(user_id).map_err(|_| MailTokenError)?;
        let secret = base64url::decode(secret).and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            user_id,
            secret: Secret::new(secret.ok_or(MailTokenError)?),
        })
    }

    /// The token as the link contains it.
    pub fn to_text(&self) -> Secret<String> {
        let secret = base64url::encode(self.secret.expose());
        Secret::new(format!("{}.{secret}", self.user_id))
    }

    /// The user ID of its account.
    pub const fn user_id(&self) -> &Id {
        &self.user_id
    }

    /// The stored digest of the token.
    pub fn digest(&self) -> MailTokenDigest {
        let digest = Sha256::digest(self.secret.expose());
        MailTokenDigest(base64url::encode(&digest))
    }
}

/// The SHA-256 of a token's secret, in base64url. The secret has 256 bits, so a slow hash is
/// unnecessary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailTokenDigest(String);

impl MailTokenDigest {
    /// Parses a stored digest.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digest in its stored form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The stored state of an account's one valid token of a purpose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingToken {
    /// The digest of the token.
    pub digest: MailTokenDigest,
    /// The expiry: the first second at which the token is invalid.
    pub ends_at: UnixTime,
}

/// The internal reason for a rejected mail token; the client sees one error for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTokenDenial {
    /// The token is malformed, or its account does not exist.
    Unknown,
    /// The token was used, or a newer mail replaced it.
    Used,
    /// The token is expired.
    Expired,
    /// The account is disabled.
    Disabled,
}

impl MailTokenDenial {
    /// The stable identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_token",
            Self::Used => "spent_token",
            Self::Expired => "expired_token",
            Self::Disabled => "disabled",
        }
    }
}

impl PendingToken {
    /// Checks a presented token at `now`.
    ///
    /// # Errors
    ///
    /// [`MailTokenDenial::Spent`] or [`MailTokenDenial::Expired`].
    pub fn check(&self, token: &MailToken, now: UnixTime) -> Result<(), MailTokenDenial> {
        let presented = token.digest();
        let same = presented.0.as_bytes().ct_eq(self.digest.0.as_bytes());
        if !bool::from(same) {
            Err(MailTokenDenial::Used)
        } else if now >= self.ends_at {
            Err(MailTokenDenial::Expired)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::string_slice,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn id(text: &str) -> Id {
        Id::parse(text).expect("an id")
    }

    fn vault() -> RootKeys {
        RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#).expect("keys")
    }

    fn token(mail: &str, purpose: MailPurpose, user: &str) -> MailToken {
        MailToken::of_mail(&vault(), &id(mail), purpose, &id(user))
    }

    #[test]
    fn a_mail_token_is_unique_to_its_mail_purpose_and_account() {
        let digest = token("m1", MailPurpose::Reset, "u1").digest();
        assert_eq!(token("m1", MailPurpose::Reset, "u1").digest(), digest);
        for other in [
            token("m2", MailPurpose::Reset, "u1"),
            token("m1", MailPurpose::Verify, "u1"),
            token("m1", MailPurpose::Reset, "u2"),
        ] {
            assert_ne!(other.digest(), digest);
        }
    }

    #[test]
    fn the_stored_digest_is_the_sha_256_of_the_secret() {
        let token = token("m1", MailPurpose::Reset, "u1");
        let text = token.to_text();
        let secret = text.expose().strip_prefix("u1.").expect("the user id");
        let secret = base64url::decode(secret).expect("base64url");
        assert_eq!(secret.len(), 32);
        assert_eq!(
            token.digest().as_str(),
            base64url::encode(&Sha256::digest(&secret))
        );
        assert!(!format!("{token:?}").contains(&text.expose()[3..]));
    }

    #[test]
    fn a_mail_token_is_valid_until_the_second_it_expires() {
        let good = token("m1", MailPurpose::Verify, "u1");
        let read = MailToken::parse(&good.to_text()).expect("ours");
        let pending = PendingToken {
            digest: good.digest(),
            ends_at: NOON,
        };
        let before = UnixTime::from_secs(NOON.as_secs() - 1);
        assert_eq!(pending.check(&read, before), Ok(()));
        assert_eq!(pending.check(&read, NOON), Err(MailTokenDenial::Expired));
        let other = token("m2", MailPurpose::Verify, "u1");
        assert_eq!(pending.check(&other, before), Err(MailTokenDenial::Used));
    }

    #[test]
    fn each_mail_kind_is_found_by_its_identifier() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::parse("spam"), None);
    }

    proptest! {
        #[test]
        fn any_text_parses_as_a_mail_token_or_is_rejected(text: String, bytes: Vec<u8>) {
            for text in [text, format!("u1.{}", base64url::encode(&bytes))] {
                if let Ok(token) = MailToken::parse(&Secret::new(text.clone())) {
                    let written = token.to_text();
                    prop_assert_eq!(written.expose(), &text);
                }
            }
        }
    }
}
