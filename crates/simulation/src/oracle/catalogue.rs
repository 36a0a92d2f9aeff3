//! The invariants, and the cases that a run must have covered.

/// An invariant of the system.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// No token issued in good faith is rejected because of a rotation.
    GoodFaith,
    /// A token signed by a dropped key is rejected after the bound.
    DroppedKey,
    /// A revoked token is rejected after the bound.
    Revoked,
    /// No acknowledged write is lost.
    NothingLost,
    /// No session has two live heads.
    OneHead,
    /// No quota is exceeded.
    Quota,
    /// When a dependency recovers, service recovers within one probe interval.
    Healed,
    /// No rotation leaves a host without a key to sign with.
    Signs,
    /// Every valid request is served.
    Served,
    /// A refresh token is valid until its use, and its reuse ends its session.
    SessionWithAccount,
    /// No assumption of the code is violated.
    Runs,
}

impl Invariant {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::GoodFaith,
        Self::DroppedKey,
        Self::Revoked,
        Self::NothingLost,
        Self::OneHead,
        Self::Quota,
        Self::Healed,
        Self::Signs,
        Self::Served,
        Self::SessionWithAccount,
        Self::Runs,
    ];

    /// The text of the invariant, and that of its counter.
    pub const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::GoodFaith => (
                "no token issued in good faith is rejected because of a rotation",
                "first uses of a new key, and tokens accepted under a key that no longer signs",
            ),
            Self::DroppedKey => (
                "a token signed by a dropped key is rejected after the bound",
                "tokens of dropped and retired keys presented after the bound, including forged ones",
            ),
            Self::Revoked => (
                "a revoked token is rejected after the bound",
                "revoked tokens presented after the bound",
            ),
            Self::NothingLost => (
                "no acknowledged write is lost",
                "acknowledged writes checked at the end",
            ),
            Self::OneHead => (
                "no session has two live heads",
                "refreshes that lost a race for one head",
            ),
            Self::Quota => ("no quota is exceeded", "rejected attempts over a quota"),
            Self::Healed => (
                "when a dependency recovers, service recovers within one probe interval",
                "hosts, edges and rotations without service at the recovery",
            ),
            Self::Signs => (
                "no rotation leaves a host without a key to sign with",
                "tokens signed while two keys were published",
            ),
            Self::Served => (
                "every valid request is served",
                "valid requests served in calm runs with all dependencies available",
            ),
            Self::SessionWithAccount => (
                "a refresh token is valid until its use, and its reuse ends its session",
                "used tokens reused after their window",
            ),
            Self::Runs => ("no assumption of the code is violated", "completed runs"),
        }
    }
}

/// A case that a run must have covered to be meaningful.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Case {
    /// A rotation completed.
    Rotation,
    /// A step of a rotation was interrupted or failed, and was repeated.
    CutOff,
    /// A key was revoked.
    Emergency,
    /// A pack was read.
    Pack,
    /// A token was looked up by its own rows.
    LookUp,
    /// A task crashed between two of its steps.
    Crash,
    /// A successful login was refunded.
    Refund,
    /// A client disconnected before its response.
    Left,
    /// A host was restarted.
    Restart,
    /// A probe was lost while a breaker was half open.
    LostProbe,
    /// A forged token under an ended key was presented after the bound.
    Retired,
    /// An edge read its keys just before a new one was published, and not again.
    Ambush,
}

impl Case {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 12] = [
        Self::Rotation,
        Self::CutOff,
        Self::Emergency,
        Self::Pack,
        Self::LookUp,
        Self::Crash,
        Self::Refund,
        Self::Left,
        Self::Restart,
        Self::LostProbe,
        Self::Retired,
        Self::Ambush,
    ];

    /// The text of its counter.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rotation => "completed rotations",
            Self::CutOff => "steps of rotations that were interrupted or failed, and were repeated",
            Self::Emergency => "revoked keys",
            Self::Pack => "packs read by edges",
            Self::LookUp => "tokens looked up by their own rows",
            Self::Crash => "tasks that crashed between two of their steps",
            Self::Refund => "refunded attempts of successful logins",
            Self::Left => "clients that disconnected before their response",
            Self::Restart => "restarts of hosts",
            Self::LostProbe => "probes lost while a breaker was half open",
            Self::Retired => "forged tokens under ended keys, presented after the bound",
            Self::Ambush => {
                "ambushes of edges: no read of the keys from just before a publication on"
            }
        }
    }
}

/// A violated invariant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The observation.
    pub what: String,
}
