//! Ways to break the system on purpose, so that it shows that each invariant can fail.

use crate::oracle::Invariant;

/// One thing done wrongly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutation {
    /// Edges read the feed from where they last stopped, and look no further back.
    DropOverlap,
    /// A new key signs before everybody has it.
    LeadTooShort,
    /// An old key goes while its tokens are about.
    TailTooShort,
    /// A host signs with what is in force, whenever that is to sign.
    SignNewest,
    /// A revocation is acknowledged however long its write took.
    AcknowledgeLate,
    /// Two hosts may both advance one head.
    ForkAdvance,
    /// A write is acknowledged and not made, now and then.
    LoseWrites,
    /// An attempt is judged first and counted afterwards.
    CountLater,
    /// A login gives its place back although the password was wrong.
    RefundRefused,
    /// A dropped key leaves the document, and nobody is told.
    DropSilently,
    /// Minutes of the feed are packed before they are closed.
    PackEarly,
    /// An edge goes on with what it has, however old that is.
    TrustStale,
    /// A breaker waits for a minute before it probes.
    ProbeSeldom,
    /// A breaker waits for a probe that was lost for good.
    AwaitLostProbe,
    /// A reading whose maker vanished keeps all others from theirs.
    HoldClaim,
    /// Nothing can be looked up.
    FailLookUps,
    /// A step of a rotation that was begun before is not taken up again.
    BeginOnce,
    /// A new key signs once edges would like to have read it, not once they must.
    LeadFromSoft,
    /// A key that is called back stays in the document.
    KeepWithdrawn,
    /// A key that has a successor is never told its end.
    TellNoEnd,
    /// A refresh token that comes again ends nothing.
    ForgiveReuse,
    /// A spent refresh token may come again for twice as long as it should.
    LongWindow,
    /// A spent refresh token may not come again at all, whatever became of the answer.
    NoWindow,
    /// An edge takes a key that nobody published.
    TrustUnpublished,
    /// A host that was restarted answers nobody for a while.
    RestAfterStart,
    /// The simulation stops in the midst.
    Panic,
}

impl Mutation {
    /// Each with the invariant that must notice it.
    pub const ALL: [(Self, Invariant); 26] = [
        (Self::DropOverlap, Invariant::Revoked),
        (Self::LeadTooShort, Invariant::GoodFaith),
        (Self::TailTooShort, Invariant::Signs),
        (Self::SignNewest, Invariant::GoodFaith),
        (Self::AcknowledgeLate, Invariant::Revoked),
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
        (Self::KeepWithdrawn, Invariant::DroppedKey),
        (Self::TellNoEnd, Invariant::DroppedKey),
        (Self::ForgiveReuse, Invariant::Revoked),
        (Self::LongWindow, Invariant::SessionWithAccount),
        (Self::NoWindow, Invariant::SessionWithAccount),
        (Self::TrustUnpublished, Invariant::DroppedKey),
        (Self::RestAfterStart, Invariant::Served),
        (Self::Panic, Invariant::Runs),
    ];
}
