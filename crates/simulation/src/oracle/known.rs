//! What seeds have found in the product that is not mended yet. Each is excused as narrowly as can be,
//! by a seed to see it with; once it is mended its lines here go.

use std::time::Duration;

use portcullis_core::time::UnixTime;

use super::Oracle;
use super::edges::{Asked, COOL_DOWN};
use crate::edge::Answer;
use crate::plan::{ROUNDING, SKEW};

/// What the lead of a rotation lacks: clocks are read in whole seconds, at the publication and at each
/// edge (seed 226).
pub(crate) const LEAD_LACKS: Duration = Duration::from_secs(2);

impl Asked<'_> {
    /// An edge takes a key that it lacks for made up also after it tried to read its keys and
    /// could not, for as long as after a reading (seeds 336 and 367).
    pub(super) fn is_cool_after_failure(&self, answer: &Answer, stepped: u64) -> bool {
        let until = |at: UnixTime| at.as_secs() + COOL_DOWN + stepped / 1_000;
        answer
            .tried_at
            .is_some_and(|at| self.edge_asked < until(at))
    }
}

impl Oracle {
    /// From here to there no key signs, because
    /// - a rotation put a key in force before the one in force signed, so that the one that does sign
    ///   is none of the two that hosts hold any more: two rotations at once do that, one of them by
    ///   hand after an emergency (seed 558 as of the commit that brought this file; none of the first
    ///   17 000 does it now), or
    /// - a setSecret that came in before finishSecret ended after it, and put `sign_from` off after
    ///   the end of the old key was reckoned by it (seeds 45 and 4244).
    pub(crate) fn nobody_signs(&mut self, from: u64, until: u64) {
        let slack = SKEW + ROUNDING;
        self.gaps.push((from.saturating_sub(slack), until + slack));
    }

    /// A step that read the stages before a finishSecret settles the document by the key that was in
    /// force then: the former key loses its end, and the new one gets one, until the next rotation
    /// begins (seed 18343).
    pub(crate) fn reopens(&mut self, key: &str) {
        self.retired.remove(key);
    }

    pub(super) fn is_in_gap(&self, asked_at: u64, now: u64) -> bool {
        let mut gaps = self.gaps.iter();
        gaps.any(|(from, until)| *from <= now && asked_at <= *until)
    }
}
