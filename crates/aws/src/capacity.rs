//! The cost of the requests in DynamoDB's capacity units, counted in half units.

use core::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::json::{Json, Object};

use crate::operation::Effect;

/// Capacity consumed so far. DynamoDB charges in steps of half a unit, so integers of half units
/// are exact.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Consumed {
    /// Half read units.
    pub read_halves: u64,
    /// Half write units.
    pub write_halves: u64,
}

impl Consumed {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            read_halves: self.read_halves.saturating_add(other.read_halves),
            write_halves: self.write_halves.saturating_add(other.write_halves),
        }
    }

    /// The consumption between `earlier` and this reading.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            read_halves: self.read_halves.saturating_sub(earlier.read_halves),
            write_halves: self.write_halves.saturating_sub(earlier.write_halves),
        }
    }
}

/// Adds up the costs that the responses report.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    read_halves: AtomicU64,
    write_halves: AtomicU64,
}

impl Meter {
    pub(crate) fn reading(&self) -> Consumed {
        Consumed {
            read_halves: self.read_halves.load(Ordering::Relaxed),
            write_halves: self.write_halves.load(Ordering::Relaxed),
        }
    }

    /// Counts the `ConsumedCapacity` of `answer`: one object, or a list with one object for each
    /// table.
    pub(crate) fn count(&self, effect: Effect, answer: &Object) {
        let tables = match answer.get("ConsumedCapacity") {
            Some(Json::Array(tables)) => tables.as_slice(),
            Some(table) => core::slice::from_ref(table),
            None => return,
        };
        let halves = tables
            .iter()
            .filter_map(|table| table.get("CapacityUnits"))
            .map(halves)
            .fold(0, u64::saturating_add);
        let counter = match effect {
            Effect::Read => &self.read_halves,
            Effect::Write => &self.write_halves,
        };
        counter.fetch_add(halves, Ordering::Relaxed);
    }
}

/// `12.5` is 25 halves; a value between two halves is rounded up.
fn halves(units: &Json) -> u64 {
    let text = match units {
        Json::Whole(units) => return units.saturating_mul(2),
        Json::Decimal(text) => text,
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::Array(_) | Json::Object(_) => return 0,
    };
    // DynamoDB uses no exponents for chargeable amounts.
    if text.contains(['e', 'E']) {
        return 0;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let Ok(whole) = whole.parse::<u64>() else {
        return 0;
    };
    let fraction = fraction.trim_end_matches('0');
    let part = match fraction.bytes().next() {
        None => 0,
        Some(b'0'..=b'4') => 1,
        Some(b'5') if fraction.len() == 1 => 1,
        Some(_) => 2,
    };
    whole.saturating_mul(2).saturating_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(value: &Value) -> Json {
        Json::parse(value.to_string().as_bytes()).unwrap()
    }

    fn count(effect: Effect, answer: &Value) -> Consumed {
        let meter = Meter::default();
        meter.count(effect, &parsed(answer).into_object().unwrap());
        meter.reading()
    }

    #[test]
    fn consumed_capacity_of_one_and_of_several_tables_is_counted() {
        let one = json!({"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}});
        assert_eq!(count(Effect::Read, &one).read_halves, 1);
        let two = json!({"ConsumedCapacity": [
            {"TableName": "t", "CapacityUnits": 4.0},
            {"TableName": "u", "CapacityUnits": 2},
        ]});
        assert_eq!(
            count(Effect::Write, &two),
            Consumed {
                read_halves: 0,
                write_halves: 12
            }
        );
    }

    #[test]
    fn consumed_capacity_is_rounded_up_to_halves_and_invalid_values_count_as_zero() {
        for (units, expected) in [
            (json!(0.0), 0),
            (json!(0.25), 1),
            (json!(0.5), 1),
            (json!(0.75), 2),
            (json!(12.5), 25),
            (json!(7), 14),
            (json!(-1.0), 0),
            (json!(1e300), 0),
            (json!(u64::MAX), u64::MAX),
        ] {
            assert_eq!(halves(&parsed(&units)), expected, "{units}");
        }
        for nonsense in [
            json!({}),
            json!({"ConsumedCapacity": "x"}),
            json!({"ConsumedCapacity": [1]}),
        ] {
            assert_eq!(count(Effect::Read, &nonsense), Consumed::default());
        }
    }

    #[test]
    fn consumed_capacity_is_the_difference_of_two_readings() {
        let earlier = Consumed {
            read_halves: 1,
            write_halves: 4,
        };
        let later = Consumed {
            read_halves: 3,
            write_halves: 4,
        };
        assert_eq!(
            later.since(earlier),
            Consumed {
                read_halves: 2,
                write_halves: 0
            }
        );
    }
}
