//! The audit trail is complete: the tests cause every event from outside, and each time the written
//! entries are exactly the expected ones.

mod factors;
mod kinds;
mod limits;
mod mails;
mod operators;
mod passwords;
mod sessions;

use std::collections::BTreeSet;

use portcullis_tests::system::{Reply, System};
use serde_json::Value;

use crate::PASSWORD;

/// An action and its outcome.
type EntryKind = String;

/// The members of responses that hold secrets.
const SECRETS: [&str; 8] = [
    "access_token",
    "refresh_token",
    "csrf_token",
    "challenge",
    "secret",
    "uri",
    "recovery_codes",
    "password",
];

/// A trail as it grows.
struct Trail<'a> {
    system: &'a System,
    read: BTreeSet<String>,
    reported: BTreeSet<EntryKind>,
    secrets: BTreeSet<String>,
}

impl<'a> Trail<'a> {
    async fn of(system: &'a System) -> Self {
        let mut trail = Self {
            system,
            read: BTreeSet::new(),
            reported: BTreeSet::new(),
            secrets: BTreeSet::from([PASSWORD.to_owned()]),
        };
        // The first request that needs the host's key publishes it, and that entry belongs to no
        // later request.
        let set = system.peer().get("/.well-known/jwks.json").await;
        assert_eq!(set.status, 200, "{set:?}");
        let _ = trail.news().await;
        trail
    }

    /// The entries since the last read.
    async fn news(&mut self) -> Vec<Value> {
        let mut lines = self
            .system
            .rows("Portcullis", "AUDIT#")
            .await
            .expect("rows");
        lines.retain(|line| self.read.insert(format!("{} {}", line["PK"], line["SK"])));
        self.reported.extend(lines.iter().map(reported));
        lines
    }

    /// Checks that `reply` wrote exactly these entries, each under its own request ID.
    async fn left(&mut self, reply: &Reply, expected: &[&str]) {
        let lines = self.news().await;
        let mut all: Vec<_> = lines.iter().map(reported).collect();
        all.sort_unstable();
        assert_eq!(all, expected, "{reply:?}");
        for line in &lines {
            assert_eq!(
                line["request_id"].as_str(),
                Some(reply.header("x-request-id")),
                "{line}"
            );
        }
        self.keep_secret(&reply.json);
    }

    /// Checks that these entries were written without a request.
    async fn left_behind(&mut self, expected: &[&str]) {
        let mut all: Vec<_> = self.news().await.iter().map(reported).collect();
        all.sort_unstable();
        assert_eq!(all, expected);
    }

    fn keep_secret(&mut self, json: &Value) {
        for name in SECRETS {
            match &json[name] {
                Value::String(text) => {
                    let _ = self.secrets.insert(text.clone());
                }
                Value::Array(texts) => self
                    .secrets
                    .extend(texts.iter().filter_map(Value::as_str).map(str::to_owned)),
                _ => {}
            }
        }
    }

    /// Every entry, after a check that none holds a secret or an address.
    async fn end(self) -> BTreeSet<EntryKind> {
        let lines = self.system.rows("Portcullis", "AUDIT#").await;
        for line in lines.expect("rows") {
            let text = line.to_string();
            assert!(!text.contains("@example.com"), "{text}");
            for secret in &self.secrets {
                assert!(!text.contains(secret.as_str()), "{text}");
            }
        }
        self.reported
    }
}

fn reported(line: &Value) -> EntryKind {
    let text = |name: &str| line[name].as_str().expect("a text").to_owned();
    format!("{} {}", text("action"), text("outcome"))
}

/// Events that no test can cause from outside, with the reason.
const OUT_OF_REACH: [&str; 1] = [
    // Two concurrent changes, of which one must fall between a read and a write.
    "password_change changed_meanwhile",
];

/// The calls of the drivers that change something or are refused.
const DRIVEN: [&str; 20] = [
    "delete /v1/factors/totp",
    "delete /v1/sessions/{id}",
    "post /oauth2/introspect",
    "post /oauth2/revoke",
    "post /oauth2/token",
    "post /v1/email/resend",
    "post /v1/email/verify",
    "post /v1/factors/recovery-codes",
    "post /v1/factors/totp",
    "post /v1/factors/totp/confirm",
    "post /v1/login",
    "post /v1/login/factor",
    "post /v1/login/unlock",
    "post /v1/logout",
    "post /v1/logout-all",
    "post /v1/password/change",
    "post /v1/password/forgot",
    "post /v1/password/reset",
    "post /v1/refresh",
    "post /v1/register",
];

/// A new endpoint must be driven, too, before it is listed.
#[tokio::test]
async fn every_endpoint_that_changes_state_is_driven() {
    let system = System::start().await.expect("a system");
    let document = system.peer().get("/openapi.json").await.json;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").keys();
        let changing = methods.filter(|method| *method != "get");
        // OpenID Connect Core 1.0 §5.3.1 demands POST there, too. It changes nothing.
        let changing = changing.filter(|_| path != "/oauth2/userinfo");
        operations.extend(changing.map(|method| format!("{method} {path}")));
    }
    operations.sort_unstable();
    assert_eq!(operations, DRIVEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_writes_exactly_its_audit_entries() {
    let mut reported = BTreeSet::new();
    reported.extend(passwords::drive().await);
    reported.extend(mails::drive().await);
    reported.extend(sessions::drive().await);
    reported.extend(factors::drive().await);
    reported.extend(limits::drive().await);
    reported.extend(operators::drive().await);
    let all: BTreeSet<_> = kinds::kinds()
        .iter()
        .map(|kind| format!("{} {}", kind.action(), kind.outcome()))
        .collect();
    let strange: Vec<_> = reported.difference(&all).collect();
    assert!(strange.is_empty(), "entries of unknown kind: {strange:?}");
    let missing: Vec<_> = all.difference(&reported).map(String::as_str).collect();
    assert_eq!(missing, OUT_OF_REACH);
}
