//! Mail, from the request to the used link: in a real folder, by the real dispatcher, on the
//! embedded engine.

mod delivery;
mod enumeration;
mod links;
mod notices;
mod unlock;

use std::path::PathBuf;

use portcullis_host::tasks::{self, TaskReport};
use portcullis_tests::mailbox::{ReceivedMail, letters};
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::json;

/// A host that writes mail into a folder and requires a verified address for a login.
pub(crate) struct Dispatcher {
    pub(crate) system: System,
    pub(crate) peer: Peer,
    folder: PathBuf,
}

impl Dispatcher {
    pub(crate) async fn open() -> Self {
        let system = System::start().await.expect("a system");
        let folder = system.folder().join("mail");
        let peer = host(&system, &folder).await;
        Self {
            system,
            peer,
            folder,
        }
    }

    /// Sends due mail.
    pub(crate) async fn deliver(&self) -> TaskReport {
        tasks::run_due(&self.peer.host).await.expect("a round")
    }

    pub(crate) fn letters(&self) -> Vec<ReceivedMail> {
        letters(&self.folder)
    }

    /// The last mail.
    pub(crate) fn last(&self) -> ReceivedMail {
        self.letters().pop().expect("a letter")
    }

    pub(crate) async fn post(&self, path: &str, body: serde_json::Value) -> Reply {
        self.peer.post(path, &body).await
    }

    pub(crate) async fn forgot(&self, email: &str) -> Reply {
        self.post("/v1/password/forgot", json!({"email": email}))
            .await
    }

    /// From the browser that sent the registration.
    pub(crate) async fn verify(&self, token: &str) -> Reply {
        self.peer.verify(token).await
    }

    pub(crate) async fn reset(&self, token: &str, password: &str) -> Reply {
        let body = json!({"token": token, "new_password": password});
        self.post("/v1/password/reset", body).await
    }

    /// The audit entries of `action`, in alphabetical order.
    pub(crate) async fn outcomes(&self, action: &str) -> Vec<String> {
        let lines = self
            .system
            .rows("Portcullis", "AUDIT#")
            .await
            .expect("rows");
        let mut outcomes: Vec<_> = lines
            .iter()
            .filter(|line| line["action"] == action)
            .map(|line| line["outcome"].as_str().expect("an outcome").to_owned())
            .collect();
        outcomes.sort_unstable();
        outcomes
    }

    async fn waiting(&self) -> usize {
        let rows = self.system.rows("Portcullis", "OUTBOX#").await;
        rows.expect("rows").len()
    }
}

/// Another host that writes into `folder`.
async fn host(system: &System, folder: &std::path::Path) -> Peer {
    let folder = folder.to_str().expect("UTF-8");
    let changes = [
        ("PORTCULLIS_MAILBOX", folder),
        ("PORTCULLIS_REQUIRE_VERIFIED", "on"),
    ];
    system.another(CHEAP, &changes).await.expect("a host")
}
