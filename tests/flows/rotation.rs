//! The rotation of the signing key: by Secrets Manager's four steps, manually, in an emergency, and
//! interrupted anywhere; every valid token stays valid.

mod emergency;
mod function;
mod steps;

use bytes::Bytes;
use http::Request;
use portcullis_core::time::UnixTime;
use portcullis_host::host::Host;
use portcullis_host::rotation::{RotationContext, RotationFunctionError};
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use portcullis_service::rotate::Step;
use portcullis_service::rotate::manual::rotate_now;
use portcullis_tests::system::{CHEAP, Peer, SIGNING_SECRET, System};
use serde_json::{Value, json};

use crate::{EMAIL, PASSWORD, part, token, with_account};

/// In Secrets Manager's order.
const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];
/// A version, as Secrets Manager names it.
const NEXT: &str = "22222222-2222-4222-8222-222222222222";
/// The default time for which third parties cache the JWK Set.
const THIRD_PARTIES: u64 = 86_400;
/// The `max-age` of an earlier cache, write bound, clock skew and rounding.
const SLACK: u64 = 300 + 2 + 2 + 2;
/// From the first signature of the next key to the end of its predecessor: the hosts' cache of 300
/// s, a token's 600 s, a leeway of 60 s, and the skew.
const TAIL: u64 = 962;

/// Runs `step` for the version `token`, as the function does.
async fn step(host: &Host, step: Step, token: &str) -> Result<(), RotationFunctionError> {
    let call = call(host);
    let desk = RotationContext::open(host, &call).await?;
    Ok(desk.rotation()?.step(step, token).await?)
}

/// Rotates manually.
async fn rotate(host: &Host) -> Result<String, RotationFunctionError> {
    let call = call(host);
    let desk = RotationContext::open(host, &call).await?;
    Ok(rotate_now(&desk.rotation()?).await?)
}

/// A call that starts now.
fn call(host: &Host) -> RequestMeta {
    RequestMeta {
        now: now(host),
        request_id: host.random.id().expect("entropy"),
        client_address: "test".to_owned(),
    }
}

fn now(host: &Host) -> UnixTime {
    host.clock.read().expect("a time")
}

/// A token of a fresh login.
async fn log_in(peer: &Peer) -> String {
    token(&peer.login(EMAIL, PASSWORD).await)
}

/// Whether `peer` accepts `token`.
async fn takes(peer: &Peer, token: &str) -> bool {
    let request = Request::get("/v1/sessions").header("authorization", format!("Bearer {token}"));
    let reply = peer.send(request.body(Bytes::new()).expect("a request"));
    reply.await.status == 200
}

/// The `kid` of `token`.
fn kid(token: &str) -> String {
    let kid = part(token, 0)["kid"].clone();
    kid.as_str().expect("a name").to_owned()
}

/// The `kid`s in the JWK Set of `peer`.
async fn published(peer: &Peer) -> Vec<String> {
    let set = peer.get("/.well-known/jwks.json").await;
    assert_eq!(set.status, 200, "{set:?}");
    let keys = set.json["keys"].as_array().expect("keys");
    let names = keys.iter().map(|key| key["kid"].as_str().expect("a name"));
    names.map(str::to_owned).collect()
}

/// The only row of the key document.
async fn document(system: &System) -> Value {
    let rows = system.rows("TokenBlacklist", "KEYS").await.expect("rows");
    let text = rows[0]["document"].as_str().expect("text");
    serde_json::from_str(text).expect("JSON")
}

/// The stages of each version of the signing secret.
async fn stages(system: &System) -> Value {
    let body = json!({"SecretId": SIGNING_SECRET});
    let described = system.proxy.secrets().call("DescribeSecret", &body).await;
    described.expect("there is such a secret")["VersionIdsToStages"].clone()
}

/// Stages a version without a value, as Secrets Manager does before the first step.
async fn stage(system: &System, token: &str) {
    let rotate = json!({"SecretId": SIGNING_SECRET, "ClientRequestToken": token});
    let missing = portcullis_local::RotationFunction::new(async |_event| Err("cut off".to_owned()));
    system.proxy.secrets().rotate_by(missing);
    let end = system.proxy.secrets().call("RotateSecret", &rotate).await;
    assert!(end.is_err(), "nobody did the steps");
}

/// A third party that caches the JWK Set for `keeps` seconds whatever its headers say, and read it
/// at the worst moment.
struct Reader {
    keeps: u64,
    read_at: u64,
    names: Vec<String>,
}

impl Reader {
    async fn new(keeps: u64, peer: &Peer) -> Self {
        Self {
            keeps,
            read_at: now(&peer.host).as_secs(),
            names: published(peer).await,
        }
    }

    async fn knows(&mut self, token: &str, peer: &Peer) -> bool {
        let now = now(&peer.host).as_secs();
        if now - self.read_at > self.keeps {
            *self = Self::new(self.keeps, peer).await;
        }
        self.names.contains(&kid(token))
    }
}

#[tokio::test]
async fn a_rotation_keeps_every_token_from_before_during_and_after_it_valid() {
    let system = with_account().await;
    let other = system.another(CHEAP, &[]).await.expect("a host");
    let hosts = [system.peer(), other];
    let begun = system.clock.now();
    let before = log_in(&hosts[0]).await;
    let old = kid(&before);
    let mut readers = vec![];
    // An edge, a client that honours `max-age`, and one that does not.
    for keeps in [3_600, 300, THIRD_PARTIES] {
        readers.push(Reader::new(keeps, &hosts[0]).await);
    }
    let sign_from = begun + THIRD_PARTIES + SLACK;
    let ends_at = sign_from + TAIL;
    let mut tokens = vec![(begun, before)];
    let mut seen = std::collections::BTreeSet::new();
    let moments = [
        begun,
        begun + 1,
        begun + 9,
        begun + 301,
        begun + 3_605,
        sign_from - 900,
        sign_from - 300,
        sign_from - 1,
        sign_from,
        sign_from + 299,
        sign_from + 301,
        sign_from + 601,
        ends_at - 1,
        ends_at,
        ends_at + 600,
    ];
    for moment in moments {
        system.clock.set(moment);
        if moment == begun {
            stage(&system, NEXT).await;
        }
        if moment == begun + 9 {
            // A host serves its set of ten seconds ago, and its client caches it for a day.
            let unlucky = Reader::new(THIRD_PARTIES, &hosts[0]).await;
            assert_eq!(unlucky.names, [old.as_str()], "the old set");
            readers.push(unlucky);
        }
        // The steps run while tokens are issued.
        let steps: &[_] = if moment == begun { &STEPS } else { &[] };
        for at in steps {
            step(&hosts[0].host, *at, NEXT).await.expect("done");
            tokens.push((moment, log_in(&hosts[1]).await));
        }
        for host in &hosts {
            tokens.push((moment, log_in(host).await));
        }
        for (_, token) in tokens.iter().filter(|(issued, _)| *issued == moment) {
            assert_eq!(kid(token) == old, moment < sign_from, "at {moment}");
            seen.insert(kid(token));
        }
        tokens.retain(|(issued, _)| moment < issued + 600);
        for (issued, token) in &tokens {
            for host in &hosts {
                assert!(takes(host, token).await, "of {issued} at {moment}");
            }
            for reader in &mut readers {
                let keeps = reader.keeps;
                let knows = reader.knows(token, &hosts[1]).await;
                assert!(knows, "of {issued} at {moment}, kept for {keeps} s");
            }
        }
        let is_told = published(&hosts[1]).await.contains(&old);
        assert_eq!(is_told, moment < ends_at, "at {moment}");
    }
    assert_eq!(seen.len(), 2, "both keys signed");
    let again = rotate(&hosts[0].host).await;
    again.expect("the next rotation may begin");
    let early = rotate(&hosts[0].host).await.expect_err("not again");
    assert_eq!(early.code(), "rotation_too_early");
}

#[tokio::test]
async fn a_host_adopts_the_rotated_version_without_restart_and_bridges_an_unavailable_secret() {
    let system = with_account().await;
    let peer = system.peer();
    let old = kid(&log_in(&peer).await);
    rotate(&peer.host).await.expect("rotated");
    // No call is made per token.
    let asked = system.proxy.count("GetSecretValue");
    system.clock.pass(299);
    log_in(&peer).await;
    assert_eq!(system.proxy.count("GetSecretValue"), asked);
    system.clock.pass(THIRD_PARTIES + SLACK);
    // Three attempts for the signing secret; the root keys are cached.
    let away = portcullis_tests::proxy::Fault::LostRequest;
    system.proxy.inject_often("GetSecretValue", &away, 3);
    let bridged = log_in(&peer).await;
    assert_eq!(kid(&bridged), old, "the old key is good for long enough");
    system.proxy.heal();
    system.clock.pass(10);
    assert_ne!(kid(&log_in(&peer).await), old);
    assert!(takes(&peer, &bridged).await);
}
