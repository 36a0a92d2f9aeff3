//! Concurrent rotations, and stages that were moved manually.

use proptest::prelude::*;

use super::*;

/// Runs both to their ends: their turns follow `turns` and then alternate; `between` checks the
/// state between any two calls.
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

/// A rotation under another token that began before this one finished, and continues after it.
#[test]
fn an_overtaken_rotation_waits_and_takes_no_stage_from_the_signing_version() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.pass(86_400);
    world.stage(THIRD);
    // It has decided that it may start, and is about to put its key into the secret.
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
fn a_version_with_an_ended_key_is_not_promoted() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.propagation_delay() + bounds.retirement_delay()).as_secs());
    world.stage(FIRST);
    let end = world.step(Step::Finish, FIRST);
    assert!(matches!(end, Err(RotateError::NotPublished)), "{end:?}");
}

#[test]
fn a_stage_that_was_moved_back_manually_does_not_reactivate_an_old_key() {
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
fn a_late_repeated_finish_sets_no_end_for_its_successor() {
    let world = World::rotated();
    let bounds = RotationBounds::default();
    world.pass((bounds.propagation_delay() + bounds.retirement_delay()).as_secs());
    world.stage(THIRD);
    for step in [Step::Create, Step::Set] {
        world.step(step, THIRD).expect("done");
    }
    world
        .step(Step::Finish, SECOND)
        .expect("finished long before");
    let kid = world.key_id(THIRD);
    let ends_at = |world: &World| world.document.borrow().find(&kid).expect("there").ends_at;
    assert_eq!(ends_at(&world), None);
    for step in [Step::Test, Step::Finish] {
        world.step(step, THIRD).expect("done");
    }
    assert_eq!(ends_at(&world), None);
}

proptest! {
    /// Two concurrent rotations under different tokens, in any order of their calls: some key can
    /// sign at any time, and after the first of them finishes, the next one completes.
    #[test]
    fn two_concurrent_rotations_always_leave_a_signing_key(
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
            ready(rotate_now(&world.rotation())).expect("the rotation completes");
            prop_assert_ne!(world.signs(), SignWith::Neither);
        }
        // Every key in the document will get its end.
        let open = world.document.borrow().keys().iter().filter(|key| key.ends_at.is_none()).count();
        prop_assert_eq!(open, 1);
    }
}
