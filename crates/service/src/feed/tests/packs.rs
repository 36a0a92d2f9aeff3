//! What packs tell, and what is read where they tell nothing.

use super::*;

#[test]
fn packs_stand_for_their_minutes_and_what_came_later_is_read_from_its_rows() {
    let world = World::default();
    world.revoke(9_500, "t1", 10_900);
    assert_eq!(world.pack(9_830), Outcome::Done { names: 1 });
    world.revoke(9_840, "t2", 10_900);
    let known = world.knows(10_030);
    assert_eq!(known.status(token("t1")), RevocationStatus::MaybeRevoked);
    assert_eq!(known.status(token("t2")), RevocationStatus::Revoked);
    assert_eq!(known.status(token("t3")), RevocationStatus::NotRevoked);
    let spans = world.spans.borrow();
    assert!(spans.contains(&(10_020, 10_032)));
    assert_eq!(spans.len(), 5, "{spans:?}");
}

#[test]
fn packs_that_cannot_be_read_are_no_packs() {
    let world = World::default();
    world.revoke(9_500, "t1", 10_900);
    world.revoke(9_700, "t2", 10_900);
    assert_eq!(world.pack(10_030), Outcome::Done { names: 2 });
    let revoked = |world: &World, standing| {
        let known = world.knows(10_030);
        assert_eq!(known.status(token("t1")), standing);
        assert_eq!(known.status(token("t2")), standing);
    };
    revoked(&world, RevocationStatus::MaybeRevoked);
    let good = world.packs.borrow().clone();
    let spoil = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut packs = good.clone();
        packs.values_mut().for_each(spoil);
        world.packs.replace(packs);
        revoked(&world, RevocationStatus::Revoked);
    };
    spoil(&|bytes| bytes.truncate(20));
    spoil(&|bytes| bytes.push(0));
    spoil(&|bytes| bytes[7] = 2);
    // A good pack, but of something else.
    spoil(&|bytes| *bytes = Pack::of(&[], at(0)).to_bytes());
    world.packs.borrow_mut().clear();
    revoked(&world, RevocationStatus::Revoked);
    world.packs.replace(good);
    world.directory_is_damaged.set(true);
    revoked(&world, RevocationStatus::Revoked);
}

#[test]
fn packs_that_fail_are_no_packs_where_the_rows_are_few() {
    let world = World::default();
    world.revoke(9_500, "t1", 10_900);
    assert_eq!(world.pack(10_030), Outcome::Done { names: 1 });
    world.packs_fail.set(true);
    let known = world.knows(10_030);
    assert_eq!(known.status(token("t1")), RevocationStatus::Revoked);
}

#[test]
fn packs_of_many_names_that_fail_are_not_made_up_for_by_their_rows() {
    let many = MAX_ROW_FALLBACK.saturating_add(1);
    for (names, reads) in [(MAX_ROW_FALLBACK, true), (many, false)] {
        let world = World::default();
        for name in 0..names {
            world.revoke(9_500, &format!("t{name}"), 10_900);
        }
        assert_eq!(world.pack(10_030), Outcome::Done { names });
        world.packs_fail.set(true);
        assert_eq!(world.cold(10_030, &NoCache).is_ok(), reads, "{names}");
        // One that is absent or damaged stays so: what it held is to be had from its rows alone.
        world.packs_fail.set(false);
        world.packs.borrow_mut().clear();
        assert!(world.cold(10_030, &NoCache).is_ok(), "{names}");
    }
}

#[test]
fn a_directory_that_fails_does_not_tell_that_there_are_no_packs() {
    let world = World::default();
    world.revoke(9_500, "t1", 10_900);
    assert_eq!(world.pack(10_030), Outcome::Done { names: 1 });
    world.directory_fails.set(true);
    assert!(world.cold(10_030, &NoCache).is_err());
    let rows = world
        .spans
        .borrow()
        .iter()
        .filter(|span| span.0 < 10_020)
        .count();
    assert_eq!(rows, 0, "not one closed minute was read");
    // Who has been away for two minutes asks no directory.
    let since = at(9_920);
    let read = read_revocations(
        Revocations::default(),
        since,
        REACH,
        &world,
        &NoCache,
        at(10_030),
    );
    assert!(ready(read).is_ok());
}

#[test]
fn a_span_that_cannot_be_closed_yet_is_left_to_its_rows() {
    let world = World::default();
    // By a clock that is fast by a minute, round after round.
    let _ = world.pack(10_090);
    world.revoke(10_070, "t1", 10_900);
    let _ = world.pack(10_150);
    assert!(world.knows(10_095).contains(token("t1")));
    // The clocks of a host and an edge may differ by two seconds.
    let world = World::default();
    let _ = world.pack(10_090);
    // The clocks of a host and an edge may differ by two seconds.
    world.knows(10_082);
    let spans = world.spans.borrow().clone();
    assert_eq!(
        spans,
        [(10_020, 10_084)],
        "no closed minute is read by its rows"
    );
}
