//! Limits: one entry for the first refusal of a window, none for later ones.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request};
use portcullis_core::limit::kind::LimitKind;
use portcullis_tests::system::{CHEAP, Peer, Reply};
use serde_json::{Value, json};

use super::{EntryKind, Trail};
use crate::factors::{call, second};
use crate::limits::device;
use crate::refresh::{form, refresh, refresh_token};
use crate::{EMAIL, PASSWORD, token, with_account};

const WRONG: &str = "wrong horse battery";

/// The request that is repeated.
struct Attempt {
    device: String,
    access: String,
    refresh: String,
}

impl Attempt {
    /// A request that counts in `scope`; `None` where other drivers cover it.
    async fn make(&mut self, scope: LimitKind, peer: &Peer) -> Option<Reply> {
        let email = json!({"email": EMAIL});
        Some(match scope {
            LimitKind::LoginEmail | LimitKind::LoginAddress => peer.login(EMAIL, WRONG).await,
            LimitKind::LoginDevice | LimitKind::LoginKnown | LimitKind::LoginKnownAddress => {
                let body = json!({"email": EMAIL, "password": WRONG}).to_string();
                let cookie = format!("__Host-portcullis-device={}", self.device);
                let request = Request::post("/v1/login")
                    .header("content-type", "application/json")
                    .header("cookie", cookie);
                peer.send(request.body(Bytes::from(body)).expect("a request"))
                    .await
            }
            LimitKind::RegisterEmail | LimitKind::RegisterAddress => {
                peer.register(EMAIL, PASSWORD).await
            }
            LimitKind::ResetEmail | LimitKind::MailAddress => {
                peer.post("/v1/password/forgot", &email).await
            }
            LimitKind::VerifyEmail => peer.post("/v1/email/resend", &email).await,
            LimitKind::LinkAddress => peer.post("/v1/email/verify", &json!({"token": "x"})).await,
            LimitKind::RefreshSession | LimitKind::RefreshAddress => {
                refresh(peer, &self.refresh).await
            }
            LimitKind::RefreshRefused => refresh(peer, "x").await,
            LimitKind::ChallengeRefused => second(peer, "x", "code", "000000").await,
            LimitKind::PasswordAccount => {
                let body = json!({"current_password": WRONG, "new_password": PASSWORD});
                let path = "/v1/password/change";
                call(peer, Method::POST, path, &self.access, &body).await
            }
            LimitKind::AccountAddress => {
                call(
                    peer,
                    Method::GET,
                    "/v1/sessions",
                    &self.access,
                    &Value::Null,
                )
                .await
            }
            LimitKind::ClientAddress => form(peer, "/oauth2/introspect", "token=x", &[]).await,
            // Covered by the drivers of factors and mails.
            LimitKind::FactorAccount | LimitKind::RecoveryAccount | LimitKind::UnlockEmail => {
                return None;
            }
        })
    }
}

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let system = with_account().await;
    let mut trail = Trail::of(&system).await;
    for scope in LimitKind::ALL {
        // The earlier counts have expired.
        system.clock.pass(2 * 3_600);
        let login = system.peer().login(EMAIL, PASSWORD).await;
        let mut attempt = Attempt {
            device: device(&login),
            access: token(&login),
            refresh: refresh_token(&login),
        };
        let quota = format!("{}=1/60", scope.as_str());
        let host = system
            .another(CHEAP, &[("PORTCULLIS_LIMITS", &quota)])
            .await;
        let host = host.expect("a host");
        // Windows of a minute start with the clock's minute.
        system.clock.pass(60);
        if attempt.make(*scope, &host).await.is_none() {
            continue;
        }
        let _ = trail.news().await;
        let line = format!("limit {}", scope.as_str());
        for lines in [&[line.as_str()][..], &[], &[]] {
            let reply = attempt.make(*scope, &host).await.expect("driven");
            // Garbage gets the same response beyond the limit of its audit entries.
            let status = match scope {
                LimitKind::RefreshRefused => 400,
                LimitKind::ChallengeRefused => 401,
                _ => 429,
            };
            assert_eq!(reply.status, status, "{}: {reply:?}", scope.as_str());
            trail.left(&reply, lines).await;
        }
    }
    trail.end().await
}
