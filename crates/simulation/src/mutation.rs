//! Mutations that break the system on purpose, to prove that each invariant can fail.

use crate::oracle::Invariant;

/// One deliberate fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutation {
    /// Edges read the feed only from the end of their last poll.
    DropOverlap,
    /// A new key signs before all edges have it.
    LeadTooShort,
    /// An old key is removed while its tokens are live.
    TailTooShort,
    /// A host signs with the current key before its `sign_from`.
    SignNewest,
    /// A late write of a revocation is acknowledged.
    AcknowledgeLate,
    /// A repeated revocation trusts a feed row of any age.
    TrustOldStamp,
    /// Two hosts may both advance one head.
    ForkAdvance,
    /// A write is sometimes acknowledged without being executed.
    LoseWrites,
    /// An attempt is checked first and counted later.
    CountLater,
    /// An attempt is refunded although the password was wrong.
    RefundRefused,
    /// A key revocation leaves the document without an announcement.
    DropSilently,
    /// Minutes of the feed are packed before they are closed.
    PackEarly,
    /// An edge uses its snapshot at any age.
    TrustStale,
    /// A breaker probes once a minute.
    ProbeSeldom,
    /// A breaker waits permanently for a lost probe.
    AwaitLostProbe,
    /// The lease of an aborted reader never expires.
    HoldClaim,
    /// Every lookup fails.
    FailLookUps,
    /// An interrupted step of a rotation is not resumed.
    BeginOnce,
    /// A new key signs after the edges' `soft` bound for keys instead of the `hard` bound.
    LeadFromSoft,
    /// A revoked key stays in the document.
    KeepRevoked,
    /// A key with a successor never gets its end.
    TellNoEnd,
    /// The reuse of a refresh token does not end the session.
    ForgiveReuse,
    /// A used refresh token may be reused for twice the window.
    LongWindow,
    /// A used refresh token may not be reused at all, even if the response was lost.
    NoWindow,
    /// An edge accepts a key that was never published.
    TrustUnpublished,
    /// A restarted host does not respond for a while.
    RestAfterStart,
    /// The simulation panics.
    Panic,
}

impl Mutation {
    /// Every mutation with the invariant that must detect it.
    pub const ALL: [(Self, Invariant); 27] = [
        (Self::DropOverlap, Invariant::Revoked),
        (Self::LeadTooShort, Invariant::GoodFaith),
        (Self::TailTooShort, Invariant::Signs),
        (Self::SignNewest, Invariant::GoodFaith),
        (Self::AcknowledgeLate, Invariant::Revoked),
        (Self::TrustOldStamp, Invariant::Revoked),
        (Self::ForkAdvance, Invariant::OneHead),
        (Self::LoseWrites, Invariant::NothingLost),
        (Self::CountLater, Invariant::Quota),
        (Self::RefundRefused, Invariant::Quota),
        (Self::DropSilently, Invariant::DroppedKey),
        (Self::PackEarly, Invariant::Revoked),
        (Self::TrustStale, Invariant::Revoked),
        (Self::ProbeSeldom, Invariant::Healed),
        (Self::AwaitLostProbe, Invariant::Healed),
        (Self::HoldClaim, Invariant::Served),
        (Self::FailLookUps, Invariant::Served),
        (Self::BeginOnce, Invariant::Served),
        (Self::LeadFromSoft, Invariant::GoodFaith),
        (Self::KeepRevoked, Invariant::DroppedKey),
        (Self::TellNoEnd, Invariant::DroppedKey),
        (Self::ForgiveReuse, Invariant::Revoked),
        (Self::LongWindow, Invariant::SessionWithAccount),
        (Self::NoWindow, Invariant::SessionWithAccount),
        (Self::TrustUnpublished, Invariant::DroppedKey),
        (Self::RestAfterStart, Invariant::Served),
        (Self::Panic, Invariant::Runs),
    ];
}
