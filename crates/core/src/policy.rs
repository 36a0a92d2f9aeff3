//! The policy: whom the gate trusts, what each route asks, how old its knowledge may be.

mod members;
mod text;

use core::time::Duration;

use thiserror::Error;

use crate::keys::jwk::JwkError;
use crate::keys::set::JwkSet;
use crate::route::Routes;
use crate::token::algorithm::Algorithm;

/// What stands for our own issuer in a policy text: the door knows its name.
pub const OWN_ISSUER: &str = "$PORTCULLIS_ISSUER";

/// No access token lives longer than a day: neither do hosts issue such, nor does any policy take one.
pub const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

/// The longest leeway an issuer may be given.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// The longest hard staleness bound a policy may set.
pub const MAX_STALENESS: Duration = Duration::from_secs(3_600);

/// A policy, checked as a whole.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whom it trusts; each issuer once.
    pub issuers: Vec<TrustedIssuer>,
    /// What each route asks.
    pub routes: Routes,
    /// How old revocations may be.
    pub revocations: Staleness,
    /// How old keys may be.
    pub keys: Staleness,
    /// Whether the `Authorization` header stays at the edge.
    pub strip_token: bool,
}

/// An issuer and what its tokens must satisfy.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// Its name, compared as it stands (`iss`).
    pub issuer: String,
    /// Names we go by; a token must be meant for one of them (`aud`).
    pub audience: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are.
    pub keys: KeySource,
    /// How much its clock and ours may differ: 0 to 60 s.
    pub leeway: Duration,
    /// How long its tokens may live (`exp - iat`).
    pub max_lifetime: Duration,
    /// How long ago they may have been issued, if that matters beyond their lifetime.
    pub max_age: Option<Duration>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the key document of the store: our own issuer.
    Document,
    /// In the policy itself.
    Fixed(JwkSet),
}

/// How knowledge ages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Staleness {
    /// From this age on it is read again, behind the request that finds it so.
    pub poll: Duration,
    /// Beyond this age a request waits for the reading.
    pub soft: Duration,
    /// Beyond this age nobody relies on it.
    pub hard: Duration,
}

/// Why a policy is refused. May quote the policy, never a key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PolicyError {
    /// Not strict JSON.
    #[error("the policy is not one JSON value with each member at most once")]
    NotJson,
    /// A member is missing, unknown or of another type.
    #[error("{0} is not {1}")]
    Malformed(String, &'static str),
    /// No issuer, or one twice.
    #[error("a policy names at least one issuer, and each once")]
    Issuers,
    /// Two issuers would share the key document, which is one issuer's.
    #[error("only one issuer may have its keys in the document")]
    TwoDocuments,
    /// The policy leaves our own issuer to the door, and the door has no name for it.
    #[error("the policy says $PORTCULLIS_ISSUER, and PORTCULLIS_ISSUER is not set")]
    NoOwnIssuer,
    /// An issuer without audience or algorithms, or with an algorithm we do not know.
    #[error("issuer {0}: audience and algorithms must be given, each algorithm one we know")]
    Issuer(String),
    /// A profile there is none of.
    #[error("issuer {0}: the profile is at+jwt")]
    Profile(String),
    /// An issuer's fixed keys cannot be read, or none of them is of use.
    #[error("issuer {0}: its keys are not acceptable: {1}")]
    Keys(String, JwkError),
    /// HS256 without a fixed key of its own, or beside algorithms with public keys.
    #[error("issuer {0}: HS256 stands alone and needs fixed keys of at least 32 bytes")]
    SharedSecret(String),
    /// A length of time is out of its range.
    #[error("{0} is out of its range")]
    Range(&'static str),
    /// A route's path is no canonical path or subtree, or stands twice.
    #[error("route {0:?}: a path is canonical, ends in /* at the most, and stands once")]
    Route(String),
    /// A route's access, scopes or way to find revocations make no sense.
    #[error(
        "route {0:?}: access is open (with nothing else) or token; scopes are scope tokens; \
         revocation is feed or lookup"
    )]
    Requirement(String),
}

impl Policy {
    /// Reads a policy from its JSON text; `own_issuer` replaces [`OWN_ISSUER`].
    ///
    /// The shape is told in `docs/policy.md`. Unknown and repeated members are refused.
    ///
    /// # Errors
    ///
    /// The first [`PolicyError`] met.
    pub fn parse(json: &str, own_issuer: Option<&str>) -> Result<Self, PolicyError> {
        text::parse(json, own_issuer)
    }

    /// The issuer called `name`.
    pub fn issuer(&self, name: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|trusted| trusted.issuer == name)
    }

    /// The issuer whose keys are in the document, if the policy trusts one.
    pub fn document_issuer(&self) -> Option<&TrustedIssuer> {
        self.issuers
            .iter()
            .find(|trusted| matches!(trusted.keys, KeySource::Document))
    }

    /// How far back a revocation can still stop a token: no token this policy takes is older.
    pub fn revocation_reach(&self) -> Duration {
        let reach = |trusted: &TrustedIssuer| trusted.max_lifetime.saturating_add(trusted.leeway);
        self.issuers.iter().map(reach).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::CanonicalPath;
    use crate::route::RevocationMode;

    const DEMO: &str = r#"{
        "issuers": [{"issuer": "$PORTCULLIS_ISSUER", "audience": "https://api.example",
                     "algorithms": ["EdDSA"], "keys": "document", "profile": "at+jwt"}],
        "routes": [{"path": "/public/*", "access": "open"},
                   {"path": "/admin/*", "access": "token", "scopes": ["admin"]},
                   {"path": "/*", "access": "token"}]
    }"#;

    fn parse(json: &str) -> Result<Policy, PolicyError> {
        Policy::parse(json, Some("https://us"))
    }

    #[test]
    fn the_demo_policy_reads_with_its_defaults() {
        let policy = parse(DEMO).expect("the demo policy");
        let us = policy.issuer("https://us").expect("our own");
        assert_eq!(
            (us.leeway, us.max_lifetime, us.max_age),
            (Duration::ZERO, Duration::from_secs(600), None)
        );
        assert_eq!(policy.revocation_reach(), Duration::from_secs(600));
        let secs = |s: Staleness| (s.poll.as_secs(), s.soft.as_secs(), s.hard.as_secs());
        assert_eq!(secs(policy.revocations), (5, 10, 30));
        let admin = CanonicalPath::parse("/admin/x").expect("canonical");
        assert_eq!(
            policy.routes.find(&admin).expect("covered").scopes,
            ["admin"]
        );
        assert!(!policy.strip_token && policy.document_issuer().is_some());
        assert_eq!(
            Policy::parse(DEMO, None).err(),
            Some(PolicyError::NoOwnIssuer)
        );
    }

    #[test]
    fn a_route_is_told_how_to_learn_of_revocations_or_follows_the_feed() {
        let mode = |members: &str| {
            let admin = r#""path": "/admin/*", "access": "token", "scopes": ["admin"]"#;
            let policy = parse(&DEMO.replace(admin, &format!(r#""path": "/a", {members}"#)))?;
            let path = CanonicalPath::parse("/a").expect("canonical");
            Ok(policy.routes.find(&path).expect("covered").revocation)
        };
        let wrong = Err(PolicyError::Requirement("/a".to_owned()));
        for (members, expected) in [
            (r#""access": "token""#, Ok(RevocationMode::Feed)),
            (r#""access": "open""#, Ok(RevocationMode::Feed)),
            (
                r#""access": "token", "revocation": "feed""#,
                Ok(RevocationMode::Feed),
            ),
            (
                r#""access": "token", "revocation": "lookup""#,
                Ok(RevocationMode::Lookup),
            ),
            (
                r#""access": "token", "revocation": "Lookup""#,
                wrong.clone(),
            ),
            (r#""access": "token", "revocation": """#, wrong.clone()),
            (r#""access": "open", "revocation": "feed""#, wrong.clone()),
            (r#""access": "open", "revocation": "lookup""#, wrong),
        ] {
            assert_eq!(mode(members), expected, "{members}");
        }
    }

    #[test]
    fn a_shared_secret_is_named_with_its_key_or_refused() {
        let key = "A".repeat(43);
        let hs = DEMO.replace("EdDSA", "HS256").replace(
            r#""document""#,
            &format!(r#"{{"keys":[{{"kty":"oct","kid":"k","k":"{key}"}}]}}"#),
        );
        assert!(parse(&hs).is_ok());
        let us = || "https://us".to_owned();
        let refused = |json: &str| parse(json).err();
        assert_eq!(
            refused(&DEMO.replace("EdDSA", "HS256")),
            Some(PolicyError::SharedSecret(us()))
        );
        let both = hs.replace(r#"["HS256"]"#, r#"["HS256","RS256"]"#);
        assert_eq!(refused(&both), Some(PolicyError::SharedSecret(us())));
        let short = hs.replace(&key, &"A".repeat(42));
        assert_eq!(
            refused(&short),
            Some(PolicyError::Keys(us(), JwkError::Malformed))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (from, to) in [
            (r#""algorithms": ["EdDSA"]"#, r#""algorithms": []"#),
            (r#"["EdDSA"]"#, r#"["none"]"#),
            (r#""https://api.example""#, r#"[]"#),
            (r#""at+jwt""#, r#""lenient""#),
            (r#""profile""#, r#""leeway": 61, "profile""#),
            (r#""profile""#, r#""max_lifetime": 0, "profile""#),
            (r#""profile""#, r#""unknown": 1, "profile""#),
            (r#""/public/*""#, r#""/public*""#),
            (r#""/admin/*""#, r#""/*""#),
            (r#""access": "open""#, r#""access": "opne""#),
            (
                r#""access": "open""#,
                r#""access": "open", "scopes": ["a"]"#,
            ),
            (r#"["admin"]"#, r#"["ad min"]"#),
            (
                r#""routes""#,
                r#""revocations": {"poll": 5, "soft": 40, "hard": 30}, "routes""#,
            ),
            (r#""routes""#, r#""issuers": [], "routes""#),
            (r#""issuers""#, r#""issuer""#),
        ] {
            let bent = DEMO.replacen(from, to, 1);
            assert_ne!(bent, DEMO, "{from}");
            assert!(parse(&bent).is_err(), "{to}");
        }
        assert_eq!(
            parse(r#"{"issuers":[],"routes":[]}"#).err(),
            Some(PolicyError::Issuers)
        );
        let told = |json: &str| parse(json).expect_err("bent").to_string();
        assert_eq!(
            told(&DEMO.replace(r#""access": "open""#, r#""axess": "open""#)),
            "routes[0].access is not there"
        );
        assert_eq!(
            told(&DEMO.replace(r#""profile""#, r#""leeway": "1", "profile""#)),
            "issuers[0].leeway is not whole seconds"
        );
        assert_eq!(
            told(&DEMO.replace(r#""access": "open""#, r#""access": "open", "more": 1"#)),
            "routes[0].more is not known"
        );
    }
}
