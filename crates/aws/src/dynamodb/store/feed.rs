//! Reads the feed: every shard of every minute of a span, a few queries at a time.

use core::time::Duration;

use portcullis_core::time::UnixTime;
use portcullis_service::join_all::join_all;
use thiserror::Error;

use crate::client::Client;
use crate::dynamodb::item::Item;
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, Table};
use crate::error::CallError;
use crate::transport::Transport;

/// The longest span of one read: a policy allows a token lifetime of at most one day, plus overlap
/// and leeway. Each minute costs one query for each shard.
const MAX_SPAN: Duration = Duration::from_secs(25 * 60 * 60);

/// The maximum number of concurrent queries. A Worker may have six open connections.
const MAX_CONCURRENT_READS: usize = 6;

/// The feed was not read.
#[derive(Debug, Error)]
pub(super) enum FeedError {
    /// The span is longer than [`MAX_SPAN`].
    #[error("at most 25 hours of the feed can be read at once")]
    Span,
    /// A part of the feed could not be read, so the whole read fails.
    #[error("a part of the feed could not be read")]
    Call(#[from] CallError),
}

/// All rows with a stamp from `from` to `to` (inclusive), of all `shards` of each minute.
pub(super) async fn rows<T: Transport>(
    client: &Client<T>,
    from: UnixTime,
    to: UnixTime,
    shards: u32,
    now: UnixTime,
) -> Result<Vec<Item>, FeedError> {
    if to.since(from) > MAX_SPAN {
        return Err(FeedError::Span);
    }
    let mut rows = Vec::new();
    for some in ranges(from, to, shards).chunks(MAX_CONCURRENT_READS) {
        let pages = some.iter().map(|range| client.range(range, now));
        for page in join_all(pages).await {
            rows.append(&mut page?);
        }
    }
    Ok(rows)
}

/// The ranges that hold the rows with a stamp from `from` to `to`.
fn ranges(from: UnixTime, to: UnixTime, shards: u32) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut minute = from.start_of_minute();
    while from <= to && minute <= to {
        for shard in 0..shards {
            ranges.push(Range {
                table: Table::Blacklist,
                partition: Key::feed_partition(minute, shard),
                from: from.to_string(),
                // `~` sorts after the `#` that follows the stamp.
                to: format!("{to}~"),
            });
        }
        minute = minute.plus(Duration::from_secs(60));
    }
    ranges
}

#[cfg(test)]
mod tests {
    use portcullis_core::policy::Policy;
    use portcullis_core::revocation::{CLOCK_SKEW, WRITE_BOUND};

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn partitions(from: UnixTime, to: UnixTime, shards: u32) -> Vec<String> {
        ranges(from, to, shards)
            .into_iter()
            .map(|range| range.partition)
            .collect()
    }

    #[test]
    fn every_feed_minute_of_the_span_is_read() {
        let second = Duration::from_secs(1);
        assert_eq!(partitions(NOON, NOON, 1), ["FEED#2026-11-23T12:00#0"]);
        assert_eq!(
            partitions(NOON.minus(second), NOON.plus(Duration::from_secs(60)), 1),
            [
                "FEED#2026-11-23T11:59#0",
                "FEED#2026-11-23T12:00#0",
                "FEED#2026-11-23T12:01#0",
            ]
        );
        assert_eq!(partitions(NOON, NOON.minus(second), 1), [""; 0]);
        assert_eq!(
            partitions(NOON, NOON.plus(second), 3),
            [
                "FEED#2026-11-23T12:00#0",
                "FEED#2026-11-23T12:00#1",
                "FEED#2026-11-23T12:00#2",
            ]
        );
    }

    #[test]
    fn the_maximum_token_lifetime_of_a_policy_fits_into_one_feed_read() {
        let policy = r#"{"issuers":[{"issuer":"https://us","audience":"api","algorithms":["EdDSA"],
            "keys":"document","profile":"at+jwt","max_lifetime":86400,"leeway":60}],"routes":[]}"#;
        let policy = Policy::parse(policy, None).expect("the longest there is");
        let margin = WRITE_BOUND
            .saturating_add(CLOCK_SKEW)
            .saturating_add(CLOCK_SKEW);
        assert!(policy.revocation_reach().saturating_add(margin) <= MAX_SPAN);
    }

    #[test]
    fn both_ends_of_the_feed_span_are_inclusive() {
        let range = ranges(NOON, NOON, 1).remove(0);
        let stamped = "2026-11-23T12:00:00Z#0123";
        assert!(range.from.as_str() <= stamped && stamped <= range.to.as_str());
        assert!("2026-11-23T11:59:59Z#ffff" < range.from.as_str());
        assert!(range.to.as_str() < "2026-11-23T12:00:01Z#0");
    }
}
