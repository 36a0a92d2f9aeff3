//! The rules at their edges, and the promise they make: no token is refused for a rotation.

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

/// 10 + 2 + 2 + 2 s until everybody has a key, 5 + 20 + 60 + 2 s until nobody needs one.
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

/// Key 1 was followed by key 2, published and put in force at noon.
fn rotated() -> KeyDocument {
    let document = one_key().publishing(&key(2), true, &BOUNDS, NOON);
    let document = document.expect("a new key");
    document
        .settling(&id(2), &BOUNDS, NOON)
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
fn the_numbers_of_the_design() {
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
fn a_host_changes_keys_the_second_the_new_one_signs() {
    let document = rotated();
    assert_eq!(signs(&document, after(LEAD - 1)), SignWith::Previous);
    assert_eq!(signs(&document, after(LEAD)), SignWith::Current);
    // One that has not heard of the new version signs until the token would outlive its key.
    let old = |now| sign_with(&document, Some(&id(1)), None, BOUNDS.token_lifetime, now);
    assert_eq!(old(after(LEAD + 5)), SignWith::Current);
    assert_eq!(old(after(LEAD + 6)), SignWith::Neither);
    let unknown = sign_with(&document, Some("x"), None, BOUNDS.token_lifetime, NOON);
    assert_eq!(unknown, SignWith::Neither);
}

#[test]
fn the_old_key_leaves_and_the_next_rotation_begins_in_the_same_second() {
    let document = rotated();
    let over = after(LEAD + TAIL);
    let begin = |now| check_can_start(&document, Some(&id(2)), &BOUNDS, now);
    assert_eq!(begin(NOON), Err(TooEarly { until: over }));
    assert_eq!(begin(over.minus(secs(1))), Err(TooEarly { until: over }));
    assert_eq!(begin(over), Ok(()));
    let old = document.find(&id(1)).expect("kept");
    assert!(old.verifies(over.minus(secs(1))) && !old.verifies(over));
    let settled = document.settling(&id(2), &BOUNDS, over).expect("one goes");
    assert_eq!(settled.keys().len(), 1);
    assert!(settled.settling(&id(2), &BOUNDS, over).is_none());
}

#[test]
fn a_first_key_signs_at_once_and_may_be_followed_at_once() {
    let document = KeyDocument::default().publishing(&key(1), false, &BOUNDS, NOON);
    let document = document.expect("a new key");
    // By a clock that is behind, too.
    let sign_from = document.find(&id(1)).expect("there").sign_from;
    assert_eq!(sign_from, NOON.minus(CLOCK_SKEW));
    assert_eq!(
        check_can_start(&document, Some(&id(1)), &BOUNDS, NOON),
        Ok(())
    );
    assert_eq!(check_can_start(&document, None, &BOUNDS, NOON), Ok(()));
}

#[test]
fn a_repeated_publication_counts_from_the_repetition_until_the_key_signs() {
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
    // Once its predecessor was told its end, which was reckoned by that, it is put off no more.
    let settled = again.settling(&id(2), &BOUNDS, after(4));
    let settled = settled.expect("one leaves");
    assert!(
        settled
            .publishing(&key(2), true, &BOUNDS, after(5))
            .is_none()
    );
}

#[test]
fn a_late_end_of_the_rotation_gives_the_old_key_its_whole_time() {
    let document = one_key().publishing(&key(2), true, &BOUNDS, NOON);
    let late = after(1_000);
    let document = document.and_then(|it| it.settling(&id(2), &BOUNDS, late));
    let end = document
        .expect("one leaves")
        .find(&id(1))
        .and_then(|old| old.ends_at);
    assert_eq!(end, Some(late.plus(secs(TAIL))));
}

#[test]
fn ends_are_told_to_predecessors_alone_and_never_taken_back() {
    let over = after(LEAD + TAIL);
    let document = rotated().publishing(&key(3), true, &BOUNDS, over);
    let document = document.expect("a new key");
    // Key 2 settles once more, late: key 1 has ended and goes, key 3 is told nothing.
    let settled = document.settling(&id(2), &BOUNDS, over).expect("one goes");
    assert!(settled.find(&id(1)).is_none());
    assert_eq!(settled.find(&id(3)).expect("there").ends_at, None);
    // Whoever was told its end brings nobody's, and does not come back.
    assert!(rotated().settling(&id(1), &BOUNDS, NOON).is_none());
}

#[test]
fn a_withdrawn_key_leaves_somebody_to_sign() {
    // The old one before the new one's turn: the new one signs at once, by every clock.
    let document = rotated().withdrawing(&id(1), after(3)).expect("there");
    for now in [after(1), after(3)] {
        assert_eq!(signs(&document, now), SignWith::Current);
    }
    // The new one, before its turn and after: the old one stays.
    for now in [after(1), after(LEAD + 1)] {
        let document = rotated().withdrawing(&id(2), now).expect("there");
        assert_eq!(signs(&document, now), SignWith::Previous);
        assert_eq!(document.find(&id(1)).expect("there").ends_at, None);
        assert_eq!(document.version(), rotated().version() + 1);
        assert_eq!(
            check_can_start(&document, Some(&id(2)), &BOUNDS, now),
            Ok(())
        );
        assert!(document.withdrawing(&id(2), now).is_none());
        assert!(document.publishing(&key(2), true, &BOUNDS, now).is_none());
    }
    // Where a third one was published and given up, whoever hosts hold stays all the same.
    let three = one_key().publishing(&key(3), true, &BOUNDS, NOON);
    let three = three.and_then(|it| it.publishing(&key(2), true, &BOUNDS, NOON));
    let three = three.and_then(|it| it.settling(&id(2), &BOUNDS, NOON));
    let document = three.and_then(|it| it.withdrawing(&id(2), after(1)));
    let document = document.expect("there");
    assert_eq!(signs(&document, after(1)), SignWith::Previous);
    assert_eq!(document.find(&id(1)).expect("there").ends_at, None);
    // The only one: whoever comes next signs at once.
    let document = one_key().withdrawing(&id(1), NOON).expect("there");
    assert!(document.keys().is_empty());
}

/// One rotation after the other, with everything as late and as skewed as the bounds allow.
#[derive(Clone, Debug)]
struct Cycle {
    /// How long after the first moment allowed it begins.
    pause: u64,
    /// How long the publication takes to commit: less than three seconds are told as two.
    commit: u64,
    /// How long after the publication the version in force changes.
    finish: u64,
}

/// What the store held: each state from the second in which it was written.
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

    /// The numbers of the keys in force and before.
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
        // The rotation's clock is `skew` ahead of the true one that the history is told by.
        let by_its_clock = now.plus(secs(skew));
        let published = document.publishing(&key(number), true, bounds, by_its_clock);
        document = published.expect("a new key");
        now = now.plus(secs(cycle.commit));
        history.documents.push((now, document.clone()));
        now = now.plus(secs(cycle.finish));
        history.versions.push((now, number));
        let settled = document.settling(&id(number), bounds, now.plus(secs(skew)));
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
    fn a_token_signed_by_any_host_is_accepted_by_every_edge_all_its_life(
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
        // The host knows what was true a while ago, and signs by its own clock.
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
        // An edge judges it some time in its life, by its own clock and keys of some age.
        let expires = by_host.plus(bounds.token_lifetime).plus(MAX_LEEWAY);
        let by_edge = signed.plus(secs(reader));
        let looks = [0, look, 1000].map(|share| {
            by_edge.plus(secs(part(by_edge.until(expires).as_secs().saturating_sub(1), share)))
        });
        for now in looks {
            let truly = now.minus(secs(reader));
            // Less than a second more is told as `edge`. What others keep was kept on its way.
            let others = if third == 0 { max_age } else { third.saturating_add(max_age) };
            let read = truly.minus(secs(part(edge.saturating_add(1).max(others), age))).max(NOON);
            let found = history.document(read).find(&id(number));
            prop_assert!(
                found.is_some_and(|key| key.verifies(now)),
                "key {number} signed at {signed}, judged at {now} by keys of {read}"
            );
        }
    }
}
