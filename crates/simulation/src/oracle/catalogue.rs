//! What is held to, and what a run has to have met.

/// What must always hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// A token issued in good faith is never refused because of a rotation.
    GoodFaith,
    /// A token signed by a dropped key is refused after the bound.
    DroppedKey,
    /// A revoked token is not accepted after the bound.
    Revoked,
    /// No acknowledged write is lost.
    NothingLost,
    /// No session has two live heads.
    OneHead,
    /// No quota is exceeded.
    Quota,
    /// When a dependency heals, service is back within one probe interval.
    Healed,
    /// No rotation leaves a host without a key to sign with.
    Signs,
    /// Who can be served is served.
    Served,
    /// A refresh token is good until it is spent, and ends its session if it comes again.
    SessionWithAccount,
    /// Nothing stops on a broken assumption.
    Runs,
}

impl Invariant {
    /// All of them.
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

    /// What it says, and what its counter counts.
    pub const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::GoodFaith => (
                "a token issued in good faith is never refused because of a rotation",
                "first showings of a new key, and tokens let in under one that signs no more",
            ),
            Self::DroppedKey => (
                "a token signed by a dropped key is refused after the bound",
                "tokens of dropped and retired keys shown after it, forged ones among them",
            ),
            Self::Revoked => (
                "a revoked token is never accepted after the bound",
                "revoked tokens shown after it",
            ),
            Self::NothingLost => (
                "no acknowledged write is lost",
                "acknowledged writes found at the end",
            ),
            Self::OneHead => (
                "no session has two live heads",
                "refreshes that lost a race for one head",
            ),
            Self::Quota => ("no quota is exceeded", "attempts over a quota refused"),
            Self::Healed => (
                "when a dependency heals, service is back within one probe interval",
                "hosts, edges and rotations that were down as a dependency healed",
            ),
            Self::Signs => (
                "no rotation leaves a host without a key to sign with",
                "tokens signed while two keys were published",
            ),
            Self::Served => (
                "who can be served is served",
                "good requests answered where nothing fails and nothing is away",
            ),
            Self::SessionWithAccount => (
                "a refresh token is good until it is spent, and ends its session if it comes again",
                "spent tokens that came again after their window",
            ),
            Self::Runs => (
                "nothing stops on a broken assumption",
                "worlds lived through to their end",
            ),
        }
    }
}

/// Something that a run has to have met to have shown anything.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Case {
    /// A rotation came to its end.
    Rotation,
    /// A step of one was cut off or failed, and was repeated.
    CutOff,
    /// A key was called back.
    Emergency,
    /// A pack was read.
    Pack,
    /// A token was looked up by its own rows.
    LookUp,
    /// A task ended between two of its steps.
    Crash,
    /// A good login gave its place back.
    Refund,
    /// A client left before it was answered.
    Left,
    /// A host was restarted.
    Restart,
    /// A probe vanished while a breaker was half open.
    LostProbe,
    /// A token forged under a key that had ended was shown after the bound.
    Retired,
    /// An edge read its keys just before a new one was published, and not again.
    Ambush,
}

impl Case {
    /// All of them.
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

    /// What is counted.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rotation => "rotations that came to their end",
            Self::CutOff => "steps of rotations that were cut off or failed, and were repeated",
            Self::Emergency => "keys that were called back",
            Self::Pack => "packs read by edges",
            Self::LookUp => "tokens looked up by their own rows",
            Self::Crash => "tasks that ended between two of their steps",
            Self::Refund => "good logins that gave their place back",
            Self::Left => "clients that left before they were answered",
            Self::Restart => "hosts that were restarted",
            Self::LostProbe => "probes that vanished while a breaker was half open",
            Self::Retired => "tokens forged under keys that had ended, shown after the bound",
            Self::Ambush => "edges cut off from their keys just before a new one was published",
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}
