//! Rotations that meet each other, and stages that somebody else moved.

use proptest::prelude::*;

use super::*;

/// Runs both to their ends, whose turns come as `turns` says and then one after the other;
/// `between` looks at what is between any two calls.
fn side_by_side<T>(
    one: impl Future<Output = T>,
    other: impl Future<Output = T>,
    turns: &[bool],
    between: impl Fn(),
) {
    let mut context = Context::from_waker(Waker::noop());
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_ended, mut other_ended) = (false, false);
    let mut turns = turns.iter();
    while !(one_ended && other_ended) {
        let is_ones = turns.next().copied().unwrap_or(!one_ended);
        if is_ones && !one_ended {
            one_ended = one.as_mut().poll(&mut context).is_ready();
        } else if !other_ended {
            other_ended = other.as_mut().poll(&mut context).is_ready();
        }
        between();
    }
}

/// A rotation under another token that began before this one ended, and goes on after it.
#[test]
fn a_rotation_that_another_overtook_waits_and_takes_nobody_off_the_stages() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.pass(86_400);
    world.stage(THIRD);
    // It has judged that it may begin, and is about to put its key into the secret.
    let mut late = Box::pin(async { world.rotation().step(Step::Create, THIRD).await });
    let mut context = Context::from_waker(Waker::noop());
    let calls = world.calls.get();
    while world.calls.get() < calls + 4 {
        assert!(late.as_mut().poll(&mut context).is_pending());
    }
    world.rotate(SECOND).expect("overtakes");
    ready(late).expect("made");
    assert!(world.outcome().0.has(THIRD, Stage::Pending));
    let set = world.step(Step::Set, THIRD);
    let sign_from = world
        .now()
        .plus(RotationBounds::default().propagation_delay());
    let over = sign_from.plus(RotationBounds::default().retirement_delay());
    assert!(matches!(set, Err(RotateError::TooEarly(TooEarly { until })) if until == over));
    assert_eq!(world.signs(), SignWith::Previous);
    world.now.set(over.as_secs());
    assert_eq!(
        ready(rotate_now(&world.rotation())).expect("goes on"),
        THIRD
    );
}

#[test]
fn a_version_whose_key_was_told_its_end_is_not_put_in_force() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.propagation_delay() + bounds.retirement_delay()).as_secs());
    world.stage(FIRST);
    let end = world.step(Step::Finish, FIRST);
    assert!(matches!(end, Err(RotateError::NotPublished)), "{end:?}");
}

#[test]
fn a_stage_moved_back_by_hand_brings_no_old_key_back() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    let first_ends = bounds.propagation_delay() + bounds.retirement_delay();
    world.pass(first_ends.as_secs() + 7 * 86_400);
    let stages = [(Stage::Current, FIRST), (Stage::Previous, SECOND)];
    let stages = stages.map(|(stage, version)| (stage, version.to_owned()));
    world.stages.borrow_mut().0.extend(stages);
    assert_eq!(world.signs(), SignWith::Previous, "the first one has ended");
    world.rotate(THIRD).expect("the second one's successor");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Previous), Some(SECOND));
    assert_eq!(world.signs(), SignWith::Previous);
    assert!(world.document.borrow().find(&world.key_id(FIRST)).is_none());
    world.pass(bounds.propagation_delay().as_secs());
    assert_eq!(world.signs(), SignWith::Current);
}

#[test]
fn an_end_said_again_late_tells_no_successor_its_end() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.propagation_delay() + bounds.retirement_delay()).as_secs());
    world.stage(THIRD);
    for step in [Step::Create, Step::Set] {
        world.step(step, THIRD).expect("done");
    }
    world.step(Step::Finish, SECOND).expect("done long before");
    let kid = world.key_id(THIRD);
    let ends_at = |world: &World| world.document.borrow().find(&kid).expect("there").ends_at;
    assert_eq!(ends_at(&world), None);
    for step in [Step::Test, Step::Finish] {
        world.step(step, THIRD).expect("done");
    }
    assert_eq!(ends_at(&world), None);
}

proptest! {
    /// Two that rotate at once under tokens of their own, whatever the order of their calls: somebody
    /// signs at any time, and once the first of them is over the next goes to its end.
    #[test]
    fn two_rotations_at_once_leave_somebody_to_sign(
        turns in prop::collection::vec(any::<bool>(), 0..80), apart in 0_u64..3, emergency: bool,
    ) {
        let world = World::new();
        world.rotate(FIRST).expect("a first key");
        world.pass(86_400);
        let all = async |token: &str, pause: u64| {
            world.pass(pause);
            world.stage(token);
            let mut end = Ok(());
            for step in STEPS {
                end = end.and(world.rotation().step(step, token).await);
            }
            end
        };
        side_by_side(all(SECOND, 0), all(THIRD, apart), &turns, || {
            assert_ne!(world.signs(), SignWith::Neither);
        });
        let bounds = RotationBounds::default();
        if emergency {
            let current = world.stages.borrow().version(Stage::Current).map(str::to_owned);
            let current = world.key_id(&current.expect("one"));
            let _ = world.revoke(&current).expect("done");
            prop_assert_ne!(world.signs(), SignWith::Neither);
            ready(rotate_now(&world.rotation())).expect("at once");
            prop_assert_ne!(world.signs(), SignWith::Neither);
        }
        for _ in 0..2 {
            world.pass((bounds.propagation_delay() + bounds.retirement_delay()).as_secs() + 4);
            prop_assert_ne!(world.signs(), SignWith::Neither);
            ready(rotate_now(&world.rotation())).expect("goes to its end");
            prop_assert_ne!(world.signs(), SignWith::Neither);
        }
        // Nobody stands in the document whom nobody will tell an end.
        let open = world.document.borrow().keys().iter().filter(|key| key.ends_at.is_none()).count();
        prop_assert_eq!(open, 1);
    }
}
