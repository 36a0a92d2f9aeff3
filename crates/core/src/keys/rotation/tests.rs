//! The rotation rules at their boundaries, and their guarantee: no rotation causes the rejection of
//! a token.

use proptest::prelude::*;

use super::*;
use crate::keys::material::KeyMaterial;
use crate::token::algorithm::Algorithm;

const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn after(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
}

fn key(number: u8) -> VerifyingKey {
    let x = [number; 32];
    VerifyingKey::new(KeyMaterial::Ed25519 { x }, Algorithm::EdDsa).expect("fits")
}

fn id(number: u8) -> String {
    key(number).thumbprint()
}

/// 10 + 2 + 2 + 2 s until every reader has a key, 5 + 20 + 60 + 2 s until no reader needs it.
const BOUNDS: RotationBounds = RotationBounds {
    edge: Duration::from_secs(10),
    jwks_max_age: Duration::from_secs(5),
    third_parties: Duration::ZERO,
    hosts: Duration::from_secs(5),
    token_lifetime: Duration::from_secs(20),
};
const LEAD: u64 = 16;
const TAIL: u64 = 87;

fn one_key() -> KeyDocument {
    KeyDocument::default().with(key(1), NOON)
}

/// Key 2 succeeds key 1, published and promoted at noon.
fn rotated() -> KeyDocument {
    let document = one_key().publishing(&key(2), true, &BOUNDS, NOON);
    let document = document.expect("a new key");
    document
        .retiring(&id(2), &BOUNDS, NOON)
        .expect("one leaves")
}

fn signs(document: &KeyDocument, now: UnixTime) -> SignWith {
    sign_with(
        document,
        Some(&id(2)),
        Some(&id(1)),
        BOUNDS.token_lifetime,
        now,
    )
}

#[test]
fn rotation_delays_match_the_design() {
    let usual = RotationBounds::default();
    assert_eq!(usual.propagation_delay(), secs(24 * 3_600 + 300 + 6));
    assert_eq!(usual.retirement_delay(), secs(300 + 600 + 60 + 2));
    let nobody_else = RotationBounds {
        third_parties: Duration::ZERO,
        ..usual
    };
    assert_eq!(nobody_else.propagation_delay(), secs(3_600 + 6));
    assert_eq!(
        (BOUNDS.propagation_delay(), BOUNDS.retirement_delay()),
        (secs(LEAD), secs(TAIL))
    );
}

#[test]
fn a_host_switches_keys_in_the_second_of_sign_from() {
    let document = rotated();
    assert_eq!(signs(&document, after(LEAD - 1)), SignWith::Previous);
    assert_eq!(signs(&document, after(LEAD)), SignWith::Current);
    // A host that has not read the new version signs until the token would outlive its key.
    let old = |now| sign_with(&document, Some(&id(1)), None, BOUNDS.token_lifetime, now);
    assert_eq!(old(after(LEAD + 5)), SignWith::Current);
    assert_eq!(old(after(LEAD + 6)), SignWith::Neither);
    let unknown = sign_with(&document, Some("x"), None, BOUNDS.token_lifetime, NOON);
    assert_eq!(unknown, SignWith::Neither);
}

#[test]
fn the_old_key_expires_and_the_next_rotation_may_start_in_the_same_second() {
    let document = rotated();
    let over = after(LEAD + TAIL);
    let begin = |now| check_can_start(&document, Some(&id(2)), &BOUNDS, now);
    assert_eq!(begin(NOON), Err(TooEarly { until: over }));
    assert_eq!(begin(over.minus(secs(1))), Err(TooEarly { until: over }));
    assert_eq!(begin(over), Ok(()));
    let old = document.find(&id(1)).expect("kept");
    assert!(old.verifies(over.minus(secs(1))) && !old.verifies(over));
    let settled = document.retiring(&id(2), &BOUNDS, over).expect("one goes");
    assert_eq!(settled.keys().len(), 1);
    assert!(settled.retiring(&id(2), &BOUNDS, over).is_none());
}

#[test]
fn a_first_key_signs_at_once_and_may_be_rotated_at_once() {
    let document = KeyDocument::default().publishing(&key(1), false, &BOUNDS, NOON);
    let document = document.expect("a new key");
    // The same holds for a clock that is behind.
    let sign_from = document.find(&id(1)).expect("there").sign_from;
    assert_eq!(sign_from, NOON.minus(CLOCK_SKEW));
    assert_eq!(
        check_can_start(&document, Some(&id(1)), &BOUNDS, NOON),
        Ok(())
    );
    assert_eq!(check_can_start(&document, None, &BOUNDS, NOON), Ok(()));
}

#[test]
fn a_retried_publication_postpones_sign_from_until_the_key_signs() {
    let document = one_key().publishing(&key(2), true, &BOUNDS, NOON);
    let document = document.expect("a new key");
    assert!(document.publishing(&key(2), true, &BOUNDS, NOON).is_none());
    let again = document.publishing(&key(2), true, &BOUNDS, after(3));
    let again = again.expect("put off");
    assert_eq!(again.version(), document.version() + 1);
    assert_eq!(
        again.find(&id(2)).expect("there").sign_from,
        after(3 + LEAD)
    );
    let late = after(3 + LEAD);
    assert!(again.publishing(&key(2), true, &BOUNDS, late).is_none());
    // Once the predecessor has an end, computed from that time, the key is not postponed again.
    let settled = again.retiring(&id(2), &BOUNDS, after(4));
    let settled = settled.expect("one leaves");
    assert!(
        settled
            .publishing(&key(2), true, &BOUNDS, after(5))
            .is_none()
    );
}

#[test]
fn a_late_end_of_the_rotation_gives_the_old_key_its_full_retirement_delay() {
    let document = one_key().publishing(&key(2), true, &BOUNDS, NOON);
    let late = after(1_000);
    let document = document.and_then(|it| it.retiring(&id(2), &BOUNDS, late));
    let end = document
        .expect("one leaves")
        .find(&id(1))
        .and_then(|old| old.ends_at);
    assert_eq!(end, Some(late.plus(secs(TAIL))));
}

#[test]
fn rotation_sets_ends_for_predecessors_only_and_never_removes_them() {
    let over = after(LEAD + TAIL);
    let document = rotated().publishing(&key(3), true, &BOUNDS, over);
    let document = document.expect("a new key");
    // Key 2 settles again, late: key 1 has expired and is removed, key 3 is unchanged.
    let settled = document.retiring(&id(2), &BOUNDS, over).expect("one goes");
    assert!(settled.find(&id(1)).is_none());
    assert_eq!(settled.find(&id(3)).expect("there").ends_at, None);
    // A key with an end sets no other key's end and is not restored.
    assert!(rotated().retiring(&id(1), &BOUNDS, NOON).is_none());
}

#[test]
fn revoking_a_key_leaves_a_signing_key() {
    // The old key is revoked before the new one signs: the new one signs at once, on every clock.
    let document = rotated().revoking(&id(1), after(3)).expect("there");
    for now in [after(1), after(3)] {
        assert_eq!(signs(&document, now), SignWith::Current);
    }
    // The new key is revoked, before and after its `sign_from`: the old one stays.
    for now in [after(1), after(LEAD + 1)] {
        let document = rotated().revoking(&id(2), now).expect("there");
        assert_eq!(signs(&document, now), SignWith::Previous);
        assert_eq!(document.find(&id(1)).expect("there").ends_at, None);
        assert_eq!(document.version(), rotated().version() + 1);
        assert_eq!(
            check_can_start(&document, Some(&id(2)), &BOUNDS, now),
            Ok(())
        );
        assert!(document.revoking(&id(2), now).is_none());
        assert!(document.publishing(&key(2), true, &BOUNDS, now).is_none());
    }
    // A third key was published and abandoned: the key that hosts hold stays.
    let three = one_key().publishing(&key(3), true, &BOUNDS, NOON);
    let three = three.and_then(|it| it.publishing(&key(2), true, &BOUNDS, NOON));
    let three = three.and_then(|it| it.retiring(&id(2), &BOUNDS, NOON));
    let document = three.and_then(|it| it.revoking(&id(2), after(1)));
    let document = document.expect("there");
    assert_eq!(signs(&document, after(1)), SignWith::Previous);
    assert_eq!(document.find(&id(1)).expect("there").ends_at, None);
    // The only key is revoked: its successor signs at once.
    let document = one_key().revoking(&id(1), NOON).expect("there");
    assert!(document.keys().is_empty());
}

/// Successive rotations, with every delay and skew at its bound.
#[derive(Clone, Debug)]
struct Cycle {
    /// The delay after the earliest permitted start.
    pause: u64,
    /// The duration of the publication's commit: less than three seconds, rounded down to two.
    commit: u64,
    /// The time from the publication until the current version changes.
    finish: u64,
}

/// The history of the store: each state with the second of its write.
#[derive(Default)]
struct History {
    documents: Vec<(UnixTime, KeyDocument)>,
    versions: Vec<(UnixTime, u8)>,
}

impl History {
    fn document(&self, at: UnixTime) -> &KeyDocument {
        let written = self.documents.iter().rev().find(|(since, _)| *since <= at);
        &written.expect("from the start").1
    }

    /// The numbers of the current and the previous key.
    fn versions(&self, at: UnixTime) -> (u8, Option<u8>) {
        let mut before = self
            .versions
            .iter()
            .rev()
            .skip_while(|(since, _)| *since > at);
        let current = before.next().expect("from the start").1;
        (current, before.next().map(|(_, number)| *number))
    }
}

fn history(cycles: &[Cycle], bounds: &RotationBounds, skew: u64) -> (History, UnixTime) {
    let mut history = History::default();
    let mut document = KeyDocument::default().with(key(1), NOON);
    history.documents.push((NOON, document.clone()));
    history.versions.push((NOON, 1));
    let mut now = NOON;
    for (number, cycle) in (2_u8..).zip(cycles) {
        let current = id(number.saturating_sub(1));
        if let Err(early) = check_can_start(&document, Some(&current), bounds, now) {
            assert!(check_can_start(&document, Some(&current), bounds, early.until).is_ok());
            now = early.until;
        }
        now = now.plus(secs(cycle.pause));
        // The rotation's clock is `skew` ahead of the true clock of the history.
        let by_its_clock = now.plus(secs(skew));
        let published = document.publishing(&key(number), true, bounds, by_its_clock);
        document = published.expect("a new key");
        now = now.plus(secs(cycle.commit));
        history.documents.push((now, document.clone()));
        now = now.plus(secs(cycle.finish));
        history.versions.push((now, number));
        let settled = document.retiring(&id(number), bounds, now.plus(secs(skew)));
        document = settled.expect("one leaves");
        history.documents.push((now, document.clone()));
    }
    let end = now
        .plus(bounds.propagation_delay())
        .plus(bounds.retirement_delay());
    (history, end)
}

proptest! {
    #[test]
    fn every_edge_accepts_every_token_for_its_whole_life_during_rotation(
        cycles in prop::collection::vec(
            (0_u64..40, 0_u64..=3, prop_oneof![Just(0_u64), 0_u64..200])
                .prop_map(|(pause, commit, finish)| Cycle { pause, commit, finish }), 1..5),
        (edge, hosts, lifetime, third, max_age)
            in (1_u64..40, 1_u64..40, 1_u64..60, 0_u64..40, 1_u64..40),
        skews in (0_u64..=2, 0_u64..=2, 0_u64..=2),
        (place, ignorance, look, age) in (0_u64..1000, 0_u64..=1000, 0_u64..1000, 0_u64..=1000),
    ) {
        let bounds = RotationBounds {
            edge: secs(edge), hosts: secs(hosts), token_lifetime: secs(lifetime),
            third_parties: secs(third), jwks_max_age: secs(max_age),
        };
        // Shares in thousandths.
        let part = |whole: u64, share: u64| whole.saturating_mul(share) / 1000;
        let (rotation, host, reader) = skews;
        let (history, end) = history(&cycles, &bounds, rotation);
        // The host has a past state of the store and signs by its own clock.
        let signed = NOON.plus(secs(part(NOON.until(end).as_secs(), place)));
        let known = signed.minus(secs(part(hosts, ignorance))).max(NOON);
        let (current, previous) = history.versions(known);
        let by_host = signed.plus(secs(host));
        let choice = sign_with(
            history.document(known), Some(&id(current)), previous.map(id).as_deref(),
            bounds.token_lifetime, by_host,
        );
        let number = match choice {
            SignWith::Current => current,
            SignWith::Previous => previous.expect("chosen"),
            SignWith::Neither => return Err(TestCaseError::fail("there is always a key to sign with")),
        };
        // An edge verifies the token at some time in its life, by its own clock and keys of some
        // age.
        let expires = by_host.plus(bounds.token_lifetime).plus(MAX_LEEWAY);
        let by_edge = signed.plus(secs(reader));
        let looks = [0, look, 1000].map(|share| {
            by_edge.plus(secs(part(by_edge.until(expires).as_secs().saturating_sub(1), share)))
        });
        for now in looks {
            let truly = now.minus(secs(reader));
            // `edge` rounds down by less than a second. A third party's cache was filled in
            // transit.
            let others = if third == 0 { max_age } else { third.saturating_add(max_age) };
            let read = truly.minus(secs(part(edge.saturating_add(1).max(others), age))).max(NOON);
            let found = history.document(read).find(&id(number));
            prop_assert!(
                found.is_some_and(|key| key.verifies(now)),
                "key {number} signed at {signed}, checked at {now} by keys of {read}"
            );
        }
    }
}
