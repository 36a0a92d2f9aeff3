//! Open routes with an optional identity: a token that is not accepted, for whatever reason, is no identity, and causes
//! no read.

use core::cell::Cell;

use portcullis_core::base64url;
use portcullis_core::denial::{ForbiddenHeader, RequiredClaim};
use portcullis_core::policy::Policy;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};

use super::*;
use crate::edge::route::route_request;
use crate::ports::{NoCache, UnusableKey};
use crate::snapshot::tests::{Fixture, at};
use crate::test_support::ready;

/// The time of the first read.
const COLD: u64 = 10_000;

/// The feed of [`Fixture`] revokes the token `t1`.
const POLICY: &str = r#"{
    "issuers": [{"issuer": "https://us", "audience": "api", "algorithms": ["EdDSA"], "keys": "document",
                 "profile": "at+jwt"},
                {"issuer": "https://hs", "audience": "api", "algorithms": ["HS256"], "max_age": 300,
                 "profile": "at+jwt", "keys": {"keys": [
                    {"kty": "oct", "kid": "k", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}}],
    "headers": {"claims": {"x-auth-plan": "plan"}},
    "routes": [{"path": "/open", "access": "open"},
               {"path": "/optional", "access": "open", "identity": "if_present"},
               {"path": "/guarded", "access": "token"}]
}"#;
const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#;
const CLAIMS: &str = r#"{"iss":"https://hs","sub":"alice","aud":"api","iat":9900,"exp":10100,"jti":"t2","client_id":"web"}"#;

/// Accepts every signature but two.
struct Signatures;

impl SignatureVerifier for Signatures {
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        match check.signature() {
            b"forged" => Ok(SignatureVerdict::Invalid),
            b"unusable" => Err(UnusableKey),
            _ => Ok(SignatureVerdict::Valid),
        }
    }
}

struct Visit {
    gate: Gate,
    cache: SnapshotCache,
    store: Fixture,
    now: Cell<u64>,
    reads: Cell<u32>,
    lookups: Cell<u32>,
}

impl Visit {
    fn cold() -> Self {
        Self {
            gate: Gate::new(Policy::parse(POLICY, None).expect("good")),
            cache: SnapshotCache::default(),
            store: Fixture::default(),
            now: Cell::new(COLD),
            reads: Cell::default(),
            lookups: Cell::default(),
        }
    }

    /// An isolate that has read everything at [`COLD`], at the time `now`.
    fn warm(now: u64) -> Self {
        let visit = Self::cold();
        ready(EdgeRequest::refresh(&visit, Keys::WhenDue, at(COLD)));
        visit.reads.set(0);
        visit.now.set(now);
        visit
    }

    fn ask(&self, path: &str, authorization: Option<&str>) -> Result<Option<String>, Denial> {
        let routed = route_request(&self.gate, "GET", path, authorization);
        let routed = routed.map_err(|(denial, _)| denial)?;
        let Some(token) = routed.token else {
            return Ok(None);
        };
        let caller = ready(authorize(self, &routed.requirement, token))?;
        Ok(caller.map(|caller| caller.get().subject.clone()))
    }

    /// The reads of the snapshot and of the rows of a token.
    fn cost(&self) -> (u32, u32) {
        (self.reads.get(), self.lookups.get())
    }
}

impl Clock for Visit {
    fn now(&self) -> UnixTime {
        at(self.now.get())
    }
}

impl Lookup for Visit {
    async fn look_up(
        &self,
        _: &Requirement,
        _: &Snapshot,
        _: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        self.lookups.set(self.lookups.get().saturating_add(1));
        Ok(Revocations::default())
    }
}

impl EdgeRequest for Visit {
    fn gate(&self) -> &Gate {
        &self.gate
    }
    fn snapshot_cache(&self) -> &SnapshotCache {
        &self.cache
    }
    fn signatures(&self) -> &impl SignatureVerifier {
        &Signatures
    }
    fn store_unavailable(&self) -> bool {
        false
    }
    async fn sleep(&self, _: Duration) {}
    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        self.reads.set(self.reads.get().saturating_add(1));
        let (policy, store) = (self.gate.policy(), &self.store);
        let read = self
            .cache
            .refresh(policy, keys, began_at, store, &NoCache, self);
        let _ = read.await;
    }
    fn refresh_in_background(&self, _: UnixTime) {
        self.reads.set(self.reads.get().saturating_add(1));
    }
    fn on_authorized(&self, _: &Requirement, _: &Snapshot) {}
}

fn signed(header: &str, claims: &str, signature: &str) -> String {
    let [header, claims, signature] =
        [header, claims, signature].map(|part| base64url::encode(part.as_bytes()));
    format!("Bearer {header}.{claims}.{signature}")
}

fn header(from: &str, to: &str) -> String {
    signed(&HEADER.replace(from, to), CLAIMS, "valid")
}

fn claims(from: &str, to: &str) -> String {
    signed(HEADER, &CLAIMS.replace(from, to), "valid")
}

fn without(claim: &str) -> String {
    claims(&format!("\"{claim}\":"), &format!("\"no-{claim}\":"))
}

/// An `Authorization` header for every reason to refuse one.
fn refused() -> Vec<(Denial, String)> {
    let mut all = vec![
        (Denial::MalformedAuthorization, "Basic YTpi".to_owned()),
        (Denial::MalformedAuthorization, "Bearer".to_owned()),
        // Two headers arrive as one.
        (
            Denial::MalformedAuthorization,
            "Bearer a.b.c, Bearer d.e.f".to_owned(),
        ),
        (
            Denial::TokenTooLarge,
            format!("Bearer {}", "a".repeat(8_193)),
        ),
        (Denial::MalformedToken, "Bearer a.b".to_owned()),
        (Denial::MalformedBase64, "Bearer a.b.c".to_owned()),
        (Denial::MalformedHeader, signed("[]", CLAIMS, "valid")),
        (Denial::UnsupportedAlgorithm, header("HS256", "none")),
        (Denial::WrongType, header("at+jwt", "JWT")),
        (Denial::MissingKeyId, header(r#","kid":"k""#, "")),
        (Denial::MalformedClaims, signed(HEADER, "[]", "valid")),
        (Denial::UnforwardableClaim, claims("alice", "a b")),
        (
            Denial::UnforwardableClaim,
            claims("{", &format!(r#"{{"plan":"{}","#, "x".repeat(4_096))),
        ),
        (Denial::BoundToken, claims("{", r#"{"cnf":{},"#)),
        (Denial::UnknownIssuer, claims("https://hs", "https://eve")),
        (Denial::WrongAudience, claims("\"api\"", "\"other\"")),
        (Denial::Expired, claims("10100", "10000")),
        (Denial::NotYetValid, claims("{", r#"{"nbf":10095,"#)),
        (Denial::IssuedInFuture, claims("9900", "10095")),
        (Denial::LifetimeTooLong, claims("10100", "10501")),
        (Denial::TooOld, claims("9900", "9699")),
        (Denial::AlgorithmNotAllowed, header("HS256", "EdDSA")),
        (Denial::UnknownKey, header("\"k\"", "\"other\"")),
        (Denial::UnusableKey, signed(HEADER, CLAIMS, "unusable")),
        (Denial::BadSignature, signed(HEADER, CLAIMS, "forged")),
        (Denial::Revoked, claims("t2", "t1")),
    ];
    for (name, member) in ForbiddenHeader::ALL {
        let forbidden = header("{", &format!(r#"{{"{name}":"x","#));
        all.push((Denial::ForbiddenHeader(member), forbidden));
    }
    for (claim, missing) in [
        ("aud", RequiredClaim::Audience),
        ("client_id", RequiredClaim::ClientId),
        ("exp", RequiredClaim::ExpiresAt),
        ("iat", RequiredClaim::IssuedAt),
        ("iss", RequiredClaim::Issuer),
        ("sub", RequiredClaim::Subject),
        ("jti", RequiredClaim::TokenId),
    ] {
        all.push((Denial::MissingClaim(missing), without(claim)));
    }
    all
}

#[test]
fn a_token_that_a_guarded_route_refuses_is_no_identity_and_causes_no_read() {
    for (denial, authorization) in refused() {
        let guarded = Visit::warm(COLD).ask("/guarded", Some(&authorization));
        assert_eq!(guarded, Err(denial), "{}", denial.code());
        // Also at an age at which every request refreshes the snapshot.
        for now in [COLD, COLD + 4] {
            let visit = Visit::warm(now);
            let asked = visit.ask("/optional", Some(&authorization));
            assert_eq!(asked, Ok(None), "{}", denial.code());
            assert_eq!(visit.cost(), (0, 0), "{}", denial.code());
        }
    }
}

#[test]
fn a_bad_token_causes_no_read_of_a_stale_or_missing_snapshot_either() {
    for (denial, authorization) in refused() {
        // The first read may show the key, and only the feed shows a revocation.
        let visits = if denial == Denial::UnknownKey {
            vec![]
        } else if denial == Denial::Revoked {
            vec![Visit::warm(COLD + 12)]
        } else {
            vec![
                Visit::cold(),
                Visit::warm(COLD + 12),
                Visit::warm(COLD + 60),
            ]
        };
        for visit in visits {
            let asked = visit.ask("/optional", Some(&authorization));
            assert_eq!(asked, Ok(None), "{}", denial.code());
            assert_eq!(visit.cost(), (0, 0), "{}", denial.code());
        }
    }
}

#[test]
fn an_accepted_token_is_the_identity_and_a_request_without_one_passes() {
    let valid = signed(HEADER, CLAIMS, "valid");
    let visit = Visit::warm(COLD);
    assert_eq!(
        visit.ask("/optional", Some(&valid)),
        Ok(Some("alice".to_owned()))
    );
    assert_eq!(visit.ask("/optional", None), Ok(None));
    assert_eq!(visit.ask("/open", Some(&valid)), Ok(None));
    assert_eq!(visit.ask("/guarded", None), Err(Denial::MissingToken));
    assert_eq!(visit.cost(), (0, 0));
}

#[test]
fn an_accepted_token_causes_the_refresh_that_is_due_and_no_other() {
    let valid = signed(HEADER, CLAIMS, "valid");
    let alice = Ok(Some("alice".to_owned()));
    for visit in [Visit::cold(), Visit::warm(COLD + 7), Visit::warm(COLD + 60)] {
        assert_eq!(visit.ask("/optional", Some(&valid)), alice);
        assert_eq!(visit.cost(), (1, 0));
    }
    // An unknown key causes the refresh that is due, and never a read of the keys alone.
    let unknown = header("\"k\"", "\"other\"");
    for (visit, reads) in [
        (Visit::cold(), 1),
        (Visit::warm(COLD + 4), 0),
        (Visit::warm(COLD + 20), 1),
    ] {
        assert_eq!(visit.ask("/optional", Some(&unknown)), Ok(None));
        assert_eq!(visit.ask("/optional", Some(&unknown)), Ok(None));
        assert_eq!(visit.cost(), (reads, 0));
    }
}

#[test]
fn a_stale_snapshot_is_no_identity_and_never_a_denial() {
    let valid = signed(HEADER, CLAIMS, "valid");
    let mut visit = Visit::warm(COLD + 31);
    visit.store.feed_fails = true;
    assert_eq!(
        visit.ask("/guarded", Some(&valid)),
        Err(Denial::StaleSnapshot)
    );
    assert_eq!(visit.ask("/optional", Some(&valid)), Ok(None));
    let mut cold = Visit::cold();
    cold.store.keys_fail = true;
    assert_eq!(cold.ask("/optional", Some(&valid)), Ok(None));
    // One second earlier the snapshot is usable.
    let mut visit = Visit::warm(COLD + 30);
    visit.store.feed_fails = true;
    assert_eq!(
        visit.ask("/optional", Some(&valid)),
        Ok(Some("alice".to_owned()))
    );
}

#[test]
fn an_undecided_revocation_is_no_identity_and_causes_no_lookup() {
    let valid = signed(HEADER, CLAIMS, "valid");
    let token = valid.strip_prefix("Bearer ").expect("a token");
    // No policy says this; a match in a pack has the same effect.
    let undecided = |access| Requirement {
        revocation: RevocationMode::Lookup,
        ..Requirement::new(access)
    };
    let visit = Visit::warm(COLD);
    let decided = ready(authorize(&visit, &undecided(Access::Token), token));
    assert!(decided.is_ok_and(|caller| caller.is_some()));
    assert_eq!(visit.cost(), (0, 1));
    let visit = Visit::warm(COLD);
    let decided = ready(authorize(&visit, &undecided(Access::Optional), token));
    assert!(decided.is_ok_and(|caller| caller.is_none()));
    assert_eq!(visit.cost(), (0, 0));
}

#[test]
fn the_response_to_an_identity_ends_when_its_token_does() {
    let valid = signed(HEADER, CLAIMS, "valid");
    let token = valid.strip_prefix("Bearer ").expect("a token");
    let requirement = Requirement::new(Access::Optional);
    let visit = Visit::warm(COLD);
    let caller = ready(authorize(&visit, &requirement, token));
    let caller = caller.expect("an open route").expect("an identity");
    visit.now.set(10_099);
    assert_eq!(ready(check_again(&visit, &requirement, &caller)), Ok(()));
    visit.now.set(10_100);
    let ended = ready(check_again(&visit, &requirement, &caller));
    assert_eq!(ended, Err(Denial::Expired));
}
