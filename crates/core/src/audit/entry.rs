//! An entry of the audit trail as it is read back, genuine or not.

use crate::id::Id;
use crate::root_keys::{Purpose, RootKeys};
use crate::time::UnixTime;

/// A stored entry. Its words are those of the version that wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// Its identifier.
    pub id: Id,
    /// The time.
    pub at: UnixTime,
    /// The action.
    pub action: String,
    /// The outcome.
    pub outcome: String,
    /// The user ID.
    pub user_id: Option<Id>,
    /// The session ID.
    pub session_id: Option<Id>,
    /// The origin.
    pub client_address: String,
    /// The request ID.
    pub request_id: Id,
    /// The names that an operator's change is about.
    pub detail: Option<String>,
    /// The root key of its MAC.
    pub root: String,
    /// The stored MAC.
    pub code: Vec<u8>,
}

impl AuditEntry {
    /// Whether its MAC is valid.
    pub fn is_genuine(&self, root_keys: &RootKeys) -> bool {
        let fields = Fields {
            root: &self.root,
            id: self.id.as_str(),
            at: self.at.as_secs().to_be_bytes(),
            action: &self.action,
            outcome: &self.outcome,
            user_id: self.user_id.as_ref().map(Id::as_str),
            session_id: self.session_id.as_ref().map(Id::as_str),
            client_address: &self.client_address,
            request_id: self.request_id.as_str(),
            detail: self.detail.as_deref(),
        };
        root_keys.verify_mac(Purpose::Audit, &fields.parts(), &self.code)
    }
}

/// The input of an entry's MAC; `id` and `at` determine the place of its row.
pub(super) struct Fields<'a> {
    pub(super) root: &'a str,
    pub(super) id: &'a str,
    pub(super) at: [u8; 8],
    pub(super) action: &'a str,
    pub(super) outcome: &'a str,
    pub(super) user_id: Option<&'a str>,
    pub(super) session_id: Option<&'a str>,
    pub(super) client_address: &'a str,
    pub(super) request_id: &'a str,
    pub(super) detail: Option<&'a str>,
}

impl Fields<'_> {
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        let parts = [
            b"row",
            self.root.as_bytes(),
            self.id.as_bytes(),
            &self.at,
            self.action.as_bytes(),
            self.outcome.as_bytes(),
            // No ID is empty, so an empty text means none.
            self.user_id.unwrap_or_default().as_bytes(),
            self.session_id.unwrap_or_default().as_bytes(),
            self.client_address.as_bytes(),
            self.request_id.as_bytes(),
        ];
        // An entry without it has the MAC of the versions that had no detail.
        let detail = self.detail.map(str::as_bytes);
        parts.into_iter().chain(detail).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditEvent, AuditKind};

    fn root_keys(id: &str) -> RootKeys {
        let document = format!(r#"{{"id":"{id}","key":"0123456789abcdef0123456789abcdef"}}"#);
        RootKeys::parse(document.as_bytes()).expect("a document")
    }

    fn line() -> AuditEntry {
        let id = |text| Id::parse(text).expect("an id");
        let event = AuditEvent {
            id: id("line1"),
            at: UnixTime::from_secs(1_795_435_200),
            kind: AuditKind::LoggedIn,
            user_id: Some(id("u1")),
            session_id: None,
            client_address: "192.0.2.1".to_owned(),
            request_id: id("r1"),
            detail: None,
            sealer: root_keys("1").sealer(Purpose::Audit),
        };
        AuditEntry {
            id: event.id.clone(),
            at: event.at,
            action: event.kind.action().to_owned(),
            outcome: event.kind.outcome().to_owned(),
            user_id: event.user_id.clone(),
            session_id: None,
            client_address: event.client_address.clone(),
            request_id: event.request_id.clone(),
            detail: None,
            root: event.sealer.root().to_owned(),
            code: event.mac().to_vec(),
        }
    }

    #[test]
    fn an_audit_entry_verifies_until_any_part_is_altered() {
        let root_keys = root_keys("1");
        assert!(line().is_genuine(&root_keys));
        let id = || Id::parse("other").expect("an id");
        let alterations: [fn(&mut AuditEntry, Id); 11] = [
            |line, _| line.detail = Some("scope admin".to_owned()),
            |line, id| line.id = id,
            |line, _| line.at = UnixTime::from_secs(1_795_435_201),
            |line, _| line.action = "logout".to_owned(),
            |line, _| line.outcome = "wrong_password".to_owned(),
            |line, id| line.user_id = Some(id),
            |line, _| line.user_id = None,
            |line, _| line.session_id = line.user_id.take(),
            |line, _| line.client_address = String::new(),
            |line, id| line.request_id = id,
            |line, _| line.code.truncate(15),
        ];
        for (place, alter) in alterations.into_iter().enumerate() {
            let mut altered = line();
            alter(&mut altered, id());
            assert!(!altered.is_genuine(&root_keys), "alteration {place}");
        }
    }

    #[test]
    fn an_audit_mac_cannot_be_forged_without_the_key() {
        let other = br#"{"id":"1","key":"fedcba9876543210fedcba9876543210"}"#;
        assert!(!line().is_genuine(&RootKeys::parse(other).expect("a document")));
    }
}
