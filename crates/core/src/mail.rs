//! Mail and its links: the proof that a user reads the mail of an address.
//!
//! A link contains a token for one purpose and one account. The store keeps its digest and its end
//! with the account. A reader of the store or of a backup cannot use either.

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
/// Exhaustive on purpose: each kind has its texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailKind {
    /// A link that verifies the address.
    Verify,
    /// A link that resets the password.
    Reset,
    /// A link that makes the opening browser known after too many failed logins.
    Unlock,
    /// A registration of an address that already has an account.
    AlreadyRegistered,
    /// The password was changed.
    PasswordChanged,
    /// A second factor was added.
    FactorAdded,
    /// The second factor was removed.
    FactorRemoved,
    /// New recovery codes were created.
    RecoveryCodesRenewed,
    /// The operator disabled the account.
    AccountDisabled,
    /// The operator enabled the account again.
    AccountEnabled,
    /// The operator ended every session.
    SessionsEnded,
    /// The operator ended one session.
    SessionEnded,
    /// The operator deleted the account.
    AccountDeleted,
    /// The operator changed the scopes, roles or custom claims.
    PermissionsChanged,
    /// A link that sets the first password of an account which the operator created.
    Invite,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Verify,
        Self::Reset,
        Self::Unlock,
        Self::AlreadyRegistered,
        Self::PasswordChanged,
        Self::FactorAdded,
        Self::FactorRemoved,
        Self::RecoveryCodesRenewed,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::SessionsEnded,
        Self::SessionEnded,
        Self::AccountDeleted,
        Self::PermissionsChanged,
        Self::Invite,
    ];

    /// A stable name for the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
            Self::AlreadyRegistered => "taken",
            Self::PasswordChanged => "password_changed",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::SessionsEnded => "sessions_ended",
            Self::SessionEnded => "session_ended",
            Self::AccountDeleted => "account_deleted",
            Self::PermissionsChanged => "permissions_changed",
            Self::Invite => "invite",
        }
    }

    /// Whether it tells the owner of a change of the account: such a mail has no token, and is never
    /// sent to an unverified address.
    pub const fn is_notice(self) -> bool {
        match self {
            Self::Verify | Self::Reset | Self::Unlock | Self::AlreadyRegistered | Self::Invite => {
                false
            }
            Self::PasswordChanged
            | Self::FactorAdded
            | Self::FactorRemoved
            | Self::RecoveryCodesRenewed
            | Self::AccountDisabled
            | Self::AccountEnabled
            | Self::SessionsEnded
            | Self::SessionEnded
            | Self::AccountDeleted
            | Self::PermissionsChanged => true,
        }
    }

    /// The kind with this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The purpose of a mailed token; a token is valid for its purpose only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailPurpose {
    /// To verify the address.
    Verify,
    /// To set a new password.
    Reset,
    /// To log in from an unknown browser after too many failed logins.
    Unlock,
    /// To set the first password of an account that the operator created. It lives long, and a
    /// reset that another person requests must not replace it.
    Invite,
}

impl MailPurpose {
    /// A stable name: part of the secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
            Self::Invite => "invite",
        }
    }
}

/// The token of a mailed link: `<user id>.<secret>`. The user ID finds the account; the secret
/// proves that the mail was read.
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
    /// The token in the mail `mail_id`. A mail has the same token however often it is sent, so no
    /// secret waits in the store.
    pub fn of_mail(root_keys: &RootKeys, mail_id: &Id, purpose: MailPurpose, user_id: &Id) -> Self {
        let parts = [mail_id.as_str(), purpose.as_str(), user_id.as_str()].map(str::as_bytes);
        Self {
            user_id: user_id.clone(),
            secret: Secret::new(root_keys.mac(Purpose::MailToken, &parts)),
        }
    }

    /// Parses the token of a link.
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

    /// The token as a link contains it.
    pub fn to_text(&self) -> Secret<String> {
        let secret = base64url::encode(self.secret.expose());
        Secret::new(format!("{}.{secret}", self.user_id))
    }

    /// The account's user ID.
    pub const fn user_id(&self) -> &Id {
        &self.user_id
    }

    /// The stored digest.
    pub fn digest(&self) -> MailTokenDigest {
        let digest = Sha256::digest(self.secret.expose());
        MailTokenDigest(base64url::encode(&digest))
    }
}

/// The SHA-256 of a token's secret, in base64url. The secret has 256 bits, so no slower hash is
/// needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailTokenDigest(String);

impl MailTokenDigest {
    /// A digest from the store.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digest for the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account's record of the one valid token of a purpose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingToken {
    /// The digest of the token.
    pub digest: MailTokenDigest,
    /// The first second at which it is invalid.
    pub ends_at: UnixTime,
}

/// The internal reason why a token is rejected; the client gets one response for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTokenDenial {
    /// The token is malformed, or its account does not exist.
    Unknown,
    /// The token was used, or a newer mail replaced it.
    Used,
    /// The token has expired.
    Expired,
    /// The account is disabled.
    Disabled,
}

impl MailTokenDenial {
    /// A stable code.
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
    /// [`MailTokenDenial::Used`] or [`MailTokenDenial::Expired`].
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

    fn root_keys() -> RootKeys {
        RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#).expect("keys")
    }

    fn token(mail: &str, purpose: MailPurpose, user: &str) -> MailToken {
        MailToken::of_mail(&root_keys(), &id(mail), purpose, &id(user))
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
    fn each_mail_kind_is_parsed_by_its_name() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::parse("spam"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected_as_mail_token(text: String, bytes: Vec<u8>) {
            for text in [text, format!("u1.{}", base64url::encode(&bytes))] {
                if let Ok(token) = MailToken::parse(&Secret::new(text.clone())) {
                    let written = token.to_text();
                    prop_assert_eq!(written.expose(), &text);
                }
            }
        }
    }
}
