//! Revoked keys, and the rotations after an emergency.

use super::*;

#[test]
fn a_revoked_key_is_removed_announced_and_never_published_again() {
    let world = World::rotated();
    let kid = world.key_id(FIRST);
    let version = world.document.borrow().version();
    assert_eq!(world.revoke(&kid).expect("done"), KeyRevocation::Done);
    assert_eq!(
        world.signs(),
        SignWith::Current,
        "the new one signs at once"
    );
    let feed = world.feed.borrow().clone();
    let [(row, stamp)] = feed.as_slice() else {
        panic!("one row: {feed:?}");
    };
    assert_eq!(row.target, RevocationTarget::Key(kid.clone()));
    assert_eq!(row.until, world.now().plus(Duration::from_secs(3_662)));
    assert_eq!(*stamp, world.now.get());
    assert_eq!(world.document.borrow().version(), version + 1);
    // A repeated call announces the revocation again and writes no document.
    assert_eq!(world.revoke(&kid).expect("done"), KeyRevocation::Done);
    assert_eq!(world.feed.borrow().len(), 2);
    assert_eq!(world.document.borrow().version(), version + 1);
    let missing = world.revoke("unknown").expect("answered");
    assert_eq!(missing, KeyRevocation::UnknownKey);
}

#[test]
fn after_an_emergency_the_next_rotation_starts_at_once_and_signs_without_delay() {
    // The current key is revoked, and the previous one loses its end: it signs until the next
    // rotation.
    let world = World::rotated();
    world.pass(87_000);
    assert_eq!(world.signs(), SignWith::Current);
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    assert_eq!(world.signs(), SignWith::Previous);
    world.rotate(THIRD).expect("at once");
    assert_eq!(world.signs(), SignWith::Previous, "it kept its stage");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Previous), Some(FIRST));
    world.pass(RotationBounds::default().propagation_delay().as_secs());
    assert_eq!(world.signs(), SignWith::Current);

    // No key signs: the next key does not wait until readers know it.
    let world = World::rotated();
    for token in [FIRST, SECOND] {
        let _ = world.revoke(&world.key_id(token)).expect("done");
    }
    assert_eq!(world.signs(), SignWith::Neither);
    world.rotate(THIRD).expect("at once");
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn a_rotation_with_a_revoked_key_is_replaced_by_another_rotation() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set] {
        world.step(step, SECOND).expect("done");
    }
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    for step in [Step::Set, Step::Test] {
        assert!(matches!(
            world.step(step, SECOND),
            Err(RotateError::KeyRevoked)
        ));
    }
    let third = ready(rotate_now(&world.rotation())).expect("another");
    assert_ne!(third, SECOND);
    assert_eq!(world.signs(), SignWith::Previous);
}

#[test]
fn a_key_revoked_between_test_and_finish_is_reported_as_revoked() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set, Step::Test] {
        world.step(step, SECOND).expect("done");
    }
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    let end = world.step(Step::Finish, SECOND);
    assert!(matches!(end, Err(RotateError::KeyRevoked)));
}

#[test]
fn a_revocation_beside_an_abandoned_key_leaves_the_signing_version_its_stage() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.pass(86_400);
    world.stage(THIRD);
    for step in [Step::Create, Step::Set] {
        world.step(step, THIRD).expect("done");
    }
    // It loses its stage, and another rotation completes.
    world.rotate(SECOND).expect("a second key");
    world.pass(3_600);
    let _ = world.revoke(&world.key_id(SECOND)).expect("done");
    assert_eq!(world.signs(), SignWith::Previous);
    ready(rotate_now(&world.rotation())).expect("at once");
    assert_eq!(world.signs(), SignWith::Previous, "it kept its stage");
    world.pass(RotationBounds::default().propagation_delay().as_secs());
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn without_a_signing_key_no_rotation_is_too_early() {
    let world = World::rotated();
    world.pass(3_600);
    // A value that was put into the secret manually takes the stages.
    let text = Secret::new("somebody else's".to_owned());
    world.values.borrow_mut().insert(THIRD.to_owned(), text);
    let stages = [(Stage::Current, THIRD), (Stage::Previous, SECOND)];
    let stages = stages.map(|(stage, version)| (stage, version.to_owned()));
    world.stages.borrow_mut().0.extend(stages);
    world.stages.borrow_mut().0.remove(&Stage::Pending);
    assert_eq!(world.signs(), SignWith::Neither);
    ready(rotate_now(&world.rotation())).expect("at once");
    assert_eq!(world.signs(), SignWith::Current);
}
