//! Reading the feed: every shard of every minute of a span, a few at a time.

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

/// The longest span that is read at once: a policy lets tokens live for a day at the most, and
/// overlap and leeway come on top. Each minute of it is a query for every shard.
const MAX_SPAN: Duration = Duration::from_secs(25 * 60 * 60);

/// How many queries are under way together. A Worker may have six connections open.
const MAX_CONCURRENT_READS: usize = 6;

/// The feed was not read.
#[derive(Debug, Error)]
pub(super) enum FeedError {
    /// More than [`LONGEST_SPAN`] was asked for.
    #[error("the feed is read for at most 25 hours at once")]
    Span,
    /// A part could not be read, so nothing is known.
    #[error("a part of the feed could not be read")]
    Call(#[from] CallError),
}

/// Every row stamped from `from` to `to`, both included, of all `shards` of each minute.
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

/// The partitions that hold what was stamped from `from` to `to`, and where in them.
fn ranges(from: UnixTime, to: UnixTime, shards: u32) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut minute = from.start_of_minute();
    while from <= to && minute <= to {
        for shard in 0..shards {
            ranges.push(Range {
                table: Table::Blacklist,
                partition: Key::feed_partition(minute, shard),
                from: from.to_string(),
                // `~` comes after the `#` that follows the stamp.
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
    fn every_minute_that_the_span_touches_is_read() {
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
    fn the_longest_lifetime_of_a_policy_fits_into_one_reading() {
        let policy = r#"{"issuers":[{"issuer":"https://us","audience":"api","algorithms":["EdDSA"],
            "keys":"document","profile":"at+jwt","max_lifetime":86400,"leeway":60}],"routes":[]}"#;
        let policy = Policy::parse(policy, None).expect("the longest there is");
        let margin = WRITE_BOUND
            .saturating_add(CLOCK_SKEW)
            .saturating_add(CLOCK_SKEW);
        assert!(policy.revocation_reach().saturating_add(margin) <= MAX_SPAN);
    }

    #[test]
    fn both_ends_of_the_span_belong_to_it() {
        let range = ranges(NOON, NOON, 1).remove(0);
        let stamped = "2026-11-23T12:00:00Z#0123";
        assert!(range.from.as_str() <= stamped && stamped <= range.to.as_str());
        assert!("2026-11-23T11:59:59Z#ffff" < range.from.as_str());
        assert!(range.to.as_str() < "2026-11-23T12:00:01Z#0");
    }
}
