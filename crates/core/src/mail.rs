//! Mail and the links in it: what proves that somebody reads the mail of an address.
//!
//! A link holds a token for one purpose and one account. The store keeps its digest and its end
//! beside the account; who reads the store, or a backup of it, learns nothing that opens anything.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{MAC_BYTES, Purpose, RootKeys};
use crate::secret::Secret;
use crate::time::UnixTime;

/// What a mail is about.
///
/// Exhaustive on purpose: each has its words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailKind {
    /// A link that verifies the address.
    Verify,
    /// A link that sets a new password.
    Reset,
    /// A link that makes the browser known it is opened in, where too many logins have failed.
    Unlock,
    /// Somebody tried to register the address, which has an account.
    AlreadyRegistered,
    /// The password was changed.
    PasswordChanged,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Verify,
        Self::Reset,
        Self::Unlock,
        Self::AlreadyRegistered,
        Self::PasswordChanged,
    ];

    /// A stable name, for the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
            Self::AlreadyRegistered => "taken",
            Self::PasswordChanged => "password_changed",
        }
    }

    /// The kind of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a mailed token is good for; one for the one is no good for the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailPurpose {
    /// To verify the address.
    Verify,
    /// To set a new password.
    Reset,
    /// To log in from a browser that nobody knows, where too many logins have failed.
    Unlock,
}

impl MailPurpose {
    /// A stable name: part of the secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
        }
    }
}

/// The token of a mailed link: `<user id>.<secret>`. The user id finds the account, the secret
/// proves the mail was read.
#[derive(Clone, Debug)]
pub struct MailToken {
    user_id: Id,
    secret: Secret<[u8; MAC_BYTES]>,
}

/// The text is no token of a mailed link. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not the token of a mailed link")]
pub struct MailTokenError;

impl MailToken {
    /// The token in the mail called `mail_id`. The same mail has the same token however often it
    /// is sent, so that nothing secret has to wait in the store until it is.
    pub fn of_mail(vault: &RootKeys, mail_id: &Id, purpose: MailPurpose, user_id: &Id) -> Self {
        let parts = [mail_id.as_str(), purpose.as_str(), user_id.as_str()].map(str::as_bytes);
        Self {
            user_id: user_id.clone(),
            secret: Secret::new(vault.mac(Purpose::MailToken, &parts)),
        }
    }

    /// Reads a token as a link held it.
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

    /// The token as a link holds it.
    pub fn to_text(&self) -> Secret<String> {
        let secret = base64url::encode(self.secret.expose());
        Secret::new(format!("{}.{secret}", self.user_id))
    }

    /// Whose account it is for.
    pub const fn user_id(&self) -> &Id {
        &self.user_id
    }

    /// What is kept of it.
    pub fn digest(&self) -> MailTokenDigest {
        let digest = Sha256::digest(self.secret.expose());
        MailTokenDigest(base64url::encode(&digest))
    }
}

/// The SHA-256 of a token's secret, in base64url. The secret has 256 bits: nothing slower is
/// needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailTokenDigest(String);

impl MailTokenDigest {
    /// A digest as it was kept.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digest as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an account knows of the one token of a purpose that it would take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingToken {
    /// Of the token.
    pub digest: MailTokenDigest,
    /// The first second at which it is good no more.
    pub ends_at: UnixTime,
}

/// Why a token is not taken, as we know it; the caller is told one thing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTokenDenial {
    /// It is none, or its account is not there.
    Unknown,
    /// It was used, or a newer mail replaced it.
    Used,
    /// Its time is over.
    Expired,
    /// The account is closed.
    Disabled,
}

impl MailTokenDenial {
    /// A stable name.
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
    /// Judges a presented token at `now`.
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
    fn a_mail_has_one_token_and_no_other_mail_purpose_or_account_has_it() {
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
    fn what_is_kept_is_the_sha_256_of_the_secret() {
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
    fn a_token_is_good_until_the_second_it_ends() {
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
    fn each_kind_is_known_by_its_name() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::parse("spam"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_none(text: String, bytes: Vec<u8>) {
            for text in [text, format!("u1.{}", base64url::encode(&bytes))] {
                if let Ok(token) = MailToken::parse(&Secret::new(text.clone())) {
                    let written = token.to_text();
                    prop_assert_eq!(written.expose(), &text);
                }
            }
        }
    }
}
