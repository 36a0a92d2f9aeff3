//! The members of one line of an import, in any format.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::json::{Json, Object};
use portcullis_core::password::PasswordHash;
use portcullis_core::time::UnixTime;
use portcullis_service::import::ImportRequest;

use crate::import::django;

/// The members of a line, before their checks.
// SECURITY: no Debug, because a line holds a password hash.
#[derive(Default)]
pub(super) struct ImportLine {
    pub(super) email: Option<String>,
    pub(super) password_hash: Option<String>,
    /// In seconds since 1970.
    pub(super) verified_at: Option<u64>,
    pub(super) user_id: Option<String>,
}

impl ImportLine {
    /// `{"email": "..", "password_hash": "$..", "verified_at": seconds, "user_id": ".."}`; the last
    /// two members are optional.
    pub(super) fn from_json(line: &[u8]) -> Result<Self, &'static str> {
        let mut members = Json::parse_object(line).map_err(|_| "malformed")?;
        let read = Self {
            email: text(&mut members, "email"),
            password_hash: text(&mut members, "password_hash"),
            verified_at: match members.remove("verified_at") {
                None | Some(Json::Null) => None,
                Some(moment) => Some(moment.as_whole().ok_or("bad_verified_at")?),
            },
            user_id: match members.remove("user_id") {
                None | Some(Json::Null) => None,
                Some(id) => Some(id.into_text().ok_or("bad_user_id")?),
            },
        };
        if members.is_empty() {
            Ok(read)
        } else {
            Err("unknown_member")
        }
    }

    /// The account, or the code of the first fault.
    pub(super) fn check(self) -> Result<ImportRequest, &'static str> {
        let email = self.email.ok_or("missing_email")?;
        let hash = self.password_hash.ok_or("missing_password_hash")?;
        let user_id = self.user_id.as_deref().map(Id::parse).transpose();
        Ok(ImportRequest {
            email: EmailAddress::parse(&email).map_err(|_| "bad_email")?,
            password: PasswordHash::parse(django::as_phc(&hash).expose())
                .map_err(|_| "unusable_hash")?,
            verified_at: self.verified_at.map(UnixTime::from_secs),
            user_id: user_id.map_err(|_| "bad_user_id")?,
        })
    }
}

fn text(members: &mut Object, name: &str) -> Option<String> {
    members.remove(name).and_then(Json::into_text)
}
