//! The pack index: the packed spans of the feed, without a gap.

use core::time::Duration;

use thiserror::Error;

use crate::time::UnixTime;

use super::PackName;

/// The packed spans, oldest first, each starting at the end of the previous one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PackIndex {
    version: u64,
    packed: Vec<PackedSpan>,
}

/// A closed span of the feed and its packs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackedSpan {
    /// The start of its first minute.
    pub from: UnixTime,
    /// The end of its last minute, exclusive.
    pub to: UnixTime,
    /// The time when its last revocation expires.
    pub until: UnixTime,
    /// The number of its fingerprints.
    pub names: u64,
    /// Its packs, which together cover the span; empty if there were no revocations.
    pub parts: Vec<PackName>,
}

/// The spans form no valid index.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the spans of a directory are whole minutes and leave no gap")]
pub struct PackIndexError;

/// The maximum number of spans in an index. Beyond it the oldest are removed, and edges read their
/// minutes one by one.
const MAX_SPANS: usize = 256;

/// The retention of a span after its last revocation expires. An edge that reads as far back as a
/// policy's token lifetime needs to know that the span is empty.
const RETENTION: Duration = Duration::from_secs(25 * 3_600);

impl PackIndex {
    /// Version `version`, with the spans in `packed`.
    ///
    /// # Errors
    ///
    /// [`PackIndexError`] if a span is empty or reversed, is not of whole minutes, or does not
    /// start at the end of the previous one.
    pub fn new(version: u64, packed: Vec<PackedSpan>) -> Result<Self, PackIndexError> {
        let whole = |moment: UnixTime| moment.start_of_minute() == moment;
        let sound = |span: &PackedSpan| span.from < span.to && whole(span.from) && whole(span.to);
        let joined = packed
            .iter()
            .zip(packed.iter().skip(1))
            .all(|(one, next)| one.to == next.from);
        if packed.iter().all(sound) && joined && packed.len() <= MAX_SPANS {
            Ok(Self { version, packed })
        } else {
            Err(PackIndexError)
        }
    }

    /// The number of writes; 0 before the first.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The spans.
    pub fn packed(&self) -> &[PackedSpan] {
        &self.packed
    }

    /// The start of the packed part of the feed.
    pub fn start(&self) -> Option<UnixTime> {
        self.packed.first().map(|first| first.from)
    }

    /// The end of the packed part of the feed.
    pub fn end(&self) -> Option<UnixTime> {
        self.packed.last().map(|last| last.to)
    }

    /// The span that contains `minute`.
    pub fn of(&self, minute: UnixTime) -> Option<&PackedSpan> {
        self.packed
            .iter()
            .find(|span| span.from <= minute && minute < span.to)
    }

    /// Whether one more span fits without removing another.
    pub const fn has_room(&self) -> bool {
        self.packed.len() < MAX_SPANS
    }

    /// The last span, if `next` may be merged into it: together they hold at most `names`
    /// fingerprints and cover at most `span`.
    pub fn mergeable(
        &self,
        to: UnixTime,
        next: u64,
        names: u64,
        span: Duration,
    ) -> Option<&PackedSpan> {
        self.packed
            .last()
            .filter(|last| last.names.saturating_add(next) <= names && to.since(last.from) <= span)
    }

    /// The next version with `packed` at the end. It replaces the last span if both start at the
    /// same time. Spans at the front that no edge reads at `now` are removed.
    ///
    /// # Errors
    ///
    /// As [`PackIndex::new`].
    pub fn with(&self, packed: PackedSpan, now: UnixTime) -> Result<Self, PackIndexError> {
        let mut spans: Vec<PackedSpan> = self
            .packed
            .iter()
            .skip_while(|span| span.until <= now && span.to.plus(RETENTION) <= now)
            .filter(|span| span.from < packed.from)
            .cloned()
            .collect();
        spans.push(packed);
        let over = spans.len().saturating_sub(MAX_SPANS);
        spans.drain(..over);
        self.next(spans)
    }

    /// The next version with `packed` before the first span.
    ///
    /// # Errors
    ///
    /// As [`PackIndex::new`].
    pub fn with_earlier(&self, packed: PackedSpan) -> Result<Self, PackIndexError> {
        let mut spans = vec![packed];
        spans.extend(self.packed.iter().cloned());
        self.next(spans)
    }

    /// The next version without the spans that end after `closed`; `None` if there are none. A host
    /// with a fast clock packed them, so they may miss revocations of minutes that were still open.
    pub fn up_to(&self, closed: UnixTime) -> Option<Self> {
        let whole = self.packed.iter().take_while(|span| span.to <= closed);
        let packed: Vec<PackedSpan> = whole.cloned().collect();
        let version = self.version.saturating_add(1);
        (packed.len() < self.packed.len()).then_some(Self { version, packed })
    }

    fn next(&self, packed: Vec<PackedSpan>) -> Result<Self, PackIndexError> {
        Self::new(self.version.saturating_add(1), packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> UnixTime {
        UnixTime::from_secs(minute.saturating_mul(60))
    }
    fn span(from: u64, to: u64, until: u64) -> PackedSpan {
        PackedSpan {
            from: at(from),
            to: at(to),
            until: at(until),
            names: 10,
            parts: vec![PackName::of(b"x")],
        }
    }

    #[test]
    fn index_spans_are_whole_minutes_without_gaps() {
        assert!(PackIndex::new(1, vec![]).is_ok());
        assert!(PackIndex::new(1, vec![span(1, 2, 9), span(2, 5, 9)]).is_ok());
        let mut odd = span(1, 2, 9);
        odd.to = UnixTime::from_secs(119);
        for bad in [
            vec![span(1, 1, 9)],
            vec![span(2, 1, 9)],
            vec![span(1, 2, 9), span(3, 4, 9)],
            vec![span(1, 3, 9), span(2, 4, 9)],
            vec![odd],
        ] {
            assert_eq!(PackIndex::new(1, bad), Err(PackIndexError));
        }
    }

    #[test]
    fn a_minute_belongs_to_at_most_one_span() {
        let directory = PackIndex::new(1, vec![span(1, 2, 9), span(2, 5, 9)]).unwrap();
        for (minute, from) in [
            (0, None),
            (1, Some(1)),
            (2, Some(2)),
            (4, Some(2)),
            (5, None),
        ] {
            let found = directory.of(at(minute)).map(|span| span.from);
            assert_eq!(found, from.map(at), "{minute}");
        }
        assert_eq!(directory.end(), Some(at(5)));
    }

    #[test]
    fn a_span_is_appended_or_replaces_the_last_one_and_expired_spans_are_removed() {
        let directory = PackIndex::new(1, vec![span(1, 2, 9), span(2, 5, 10)]).unwrap();
        let longer = directory.with(span(2, 6, 10), at(8)).unwrap();
        assert_eq!((longer.version(), longer.packed().len()), (2, 2));
        assert_eq!(longer.packed().last(), Some(&span(2, 6, 10)));
        let kept = directory.with(span(5, 6, 12), at(1_501)).unwrap();
        assert_eq!(kept.packed().len(), 3);
        let more = directory.with(span(5, 6, 12), at(1_502)).unwrap();
        assert_eq!(more.packed(), [span(2, 5, 10), span(5, 6, 12)]);
        // The minutes between were never packed.
        assert_eq!(directory.with(span(6, 7, 12), at(8)), Err(PackIndexError));
        assert!(directory.with(span(6, 7, 12), at(1_505)).is_ok());
    }

    #[test]
    fn the_oldest_spans_are_removed_from_a_full_index() {
        let hours = |count: u64| (0..count).map(|hour| span(hour, hour + 1, 9_999)).collect();
        let full = PackIndex::new(1, hours(256)).unwrap();
        assert_eq!(PackIndex::new(1, hours(257)), Err(PackIndexError));
        let next = full.with(span(256, 257, 9_999), at(257)).unwrap();
        assert_eq!((next.packed().len(), next.packed()[0].from), (256, at(1)));
    }

    #[test]
    fn a_span_is_prepended_while_the_index_has_room() {
        let directory = PackIndex::new(1, vec![span(3, 5, 9)]).unwrap();
        let longer = directory.with_earlier(span(1, 3, 9)).unwrap();
        assert_eq!((longer.version(), longer.start()), (2, Some(at(1))));
        assert_eq!(longer.packed().len(), 2);
        let gap = directory.with_earlier(span(1, 2, 9));
        assert_eq!(gap, Err(PackIndexError));
        let hours = (1..257).map(|hour| span(hour, hour + 1, 9)).collect();
        let full = PackIndex::new(1, hours).unwrap();
        assert!(directory.has_room() && !full.has_room());
        assert_eq!(full.with_earlier(span(0, 1, 9)), Err(PackIndexError));
    }

    #[test]
    fn spans_beyond_the_closed_feed_and_all_later_ones_are_removed() {
        let directory = PackIndex::new(4, vec![span(1, 2, 9), span(2, 5, 9)]).unwrap();
        assert_eq!(directory.up_to(at(5)), None);
        let kept = directory.up_to(at(4)).unwrap();
        assert_eq!((kept.version(), kept.packed()), (5, &[span(1, 2, 9)][..]));
        let none = directory.up_to(at(1)).unwrap();
        assert_eq!((none.version(), none.end()), (5, None));
        assert_eq!(none.up_to(at(1)), None);
    }

    #[test]
    fn the_last_span_grows_while_it_is_small_and_short() {
        let directory = PackIndex::new(1, vec![span(1, 2, 9)]).unwrap();
        let hour = Duration::from_secs(3_600);
        let grows = |to, next| directory.mergeable(at(to), next, 100, hour).is_some();
        assert!(grows(61, 90) && !grows(62, 90) && !grows(61, 91));
    }
}
