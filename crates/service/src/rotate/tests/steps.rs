//! The four steps, aborted between any two calls, and the final state.

use super::*;

#[test]
fn a_rotation_publishes_the_new_key_promotes_it_and_sets_the_end_of_the_old_key() {
    let world = World::rotated();
    let (bounds, now) = (RotationBounds::default(), world.now());
    let (stages, values, times, signs) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(SECOND));
    assert_eq!(stages.version(Stage::Previous), Some(FIRST));
    assert_eq!((values, signs), (2, SignWith::Previous));
    let sign_from = now.plus(bounds.propagation_delay());
    let end = sign_from.plus(bounds.retirement_delay());
    assert_eq!(
        times,
        [
            (NOON.as_secs() - 2, Some(end.as_secs())),
            (sign_from.as_secs(), None)
        ]
    );
    use KeyAct::{Publish, Rotate};
    let acts = [Publish, Publish, Rotate].map(AuditKind::KeysChanged);
    assert_eq!(
        *world.acts.borrow(),
        acts,
        "the first key has no predecessor"
    );
    // Repeated steps in any order change nothing more.
    for step in STEPS.iter().rev() {
        world.step(*step, SECOND).expect("done before");
    }
    assert_eq!(world.acts.borrow().len(), 3);
    let early = world.rotate(THIRD);
    assert!(matches!(early, Err(RotateError::TooEarly(TooEarly { until })) if until == end));
    world.now.set(end.as_secs());
    world.rotate(THIRD).expect("the previous cycle is over");
    assert_eq!(
        world.document.borrow().keys().len(),
        2,
        "the first key is gone"
    );
}

#[test]
fn an_audit_entry_of_a_rotation_has_the_time_of_its_write_the_version_and_the_actor() {
    let world = World::rotated();
    let (first, second) = (NOON, world.now());
    assert_ne!(second, world.call.now);
    let events = world.events.borrow();
    let entries = events.iter();
    let entries = entries.map(|it| (it.at, it.request_id.as_str(), it.client_address.as_str()));
    let expected = [(first, FIRST), (second, SECOND), (second, SECOND)];
    let expected = expected.map(|(at, version)| (at, version, ACTOR));
    assert_eq!(entries.collect::<Vec<_>>(), expected);
}

#[test]
fn a_retry_of_a_rotation_aborted_at_any_call_reaches_the_same_state() {
    let undisturbed = World::rotated();
    let (expected, whole) = (undisturbed.outcome(), undisturbed.calls.get());
    let mut cuts = 0;
    for at in 0..whole {
        for cut in [Cut::Before, Cut::After] {
            let world = World::new();
            world.fails.set(Some((at, cut)));
            for (token, pause) in [(FIRST, 0), (SECOND, 86_400)] {
                world.pass(pause);
                if let Err(error) = world.rotate(token) {
                    assert!(matches!(error, RotateError::Store(_)), "{error}");
                    cuts += 1;
                    world.rotate(token).expect("repeated");
                }
            }
            assert_eq!(world.outcome(), expected, "call {at}, {cut:?}");
        }
    }
    assert_eq!(cuts, 2 * whole, "each abort was reported");
}

#[test]
fn an_unfinished_rotation_is_harmless_and_a_manual_rotation_completes_it() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    for step in [Step::Create, Step::Set] {
        world.step(step, SECOND).expect("done");
    }
    world.pass(90 * 86_400);
    assert_eq!(
        world.signs(),
        SignWith::Current,
        "the old key continues to sign"
    );
    assert_eq!(
        ready(rotate_now(&world.rotation())).expect("finished"),
        SECOND
    );
    assert_eq!(world.signs(), SignWith::Current);
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(SECOND));
}

#[test]
fn a_write_slower_than_the_bound_is_stamped_again() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.slow.set(3);
    world.stage(SECOND);
    world.step(Step::Create, SECOND).expect("made");
    let late = world.step(Step::Set, SECOND);
    assert!(matches!(late, Err(RotateError::Contended)));
    world.slow.set(2);
    let stamp = world.now();
    world.step(Step::Set, SECOND).expect("in time");
    let document = world.document.borrow();
    let key = document
        .find(&world.key_id(SECOND))
        .expect("published")
        .sign_from;
    assert_eq!(
        key,
        stamp.plus(RotationBounds::default().propagation_delay())
    );
}

#[test]
fn steps_out_of_order_and_malformed_tokens_are_rejected() {
    let world = World::new();
    for step in [Step::Set, Step::Test] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotPending)
        ));
    }
    world.stage(FIRST);
    for step in [Step::Set, Step::Test, Step::Finish] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotCreated)
        ));
    }
    world.step(Step::Create, FIRST).expect("made");
    for step in [Step::Test, Step::Finish] {
        assert!(matches!(
            world.step(step, FIRST),
            Err(RotateError::NotPublished)
        ));
    }
    for token in [
        "",
        "short",
        "aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa",
        &"a".repeat(65),
    ] {
        assert!(matches!(
            world.step(Step::Create, token),
            Err(RotateError::Token)
        ));
    }
}

#[test]
fn a_secret_value_that_is_no_key_does_not_block_the_first_rotation() {
    let world = World::new();
    let version = "00000000-0000-4000-8000-000000000000";
    let made_up = Secret::new("made by a template".to_owned());
    world
        .values
        .borrow_mut()
        .insert(version.to_owned(), made_up);
    let current = (Stage::Current, version.to_owned());
    world.stages.borrow_mut().0.extend([current]);
    world.rotate(FIRST).expect("a first key");
    let (stages, ..) = world.outcome();
    assert_eq!(stages.version(Stage::Current), Some(FIRST));
    assert_eq!(world.signs(), SignWith::Current, "at once");
}

#[test]
fn the_test_step_detects_a_published_key_that_differs_from_the_secret() {
    let world = World::new();
    world.stage(FIRST);
    for step in [Step::Create, Step::Set] {
        world.step(step, FIRST).expect("done");
    }
    let kid = world.key_id(FIRST);
    let other = KeyMaterial::Ed25519 { x: [99; 32] };
    let other = VerifyingKey::new(other, Algorithm::EdDsa).expect("fits");
    let json = world.document.borrow().to_json();
    let json = json.replace(&format!(r#""kid":"{kid}""#), r#""kid":"renamed""#);
    world
        .document
        .replace(KeyDocument::parse(json.as_bytes()).expect("ours"));
    assert!(matches!(
        world.step(Step::Test, FIRST),
        Err(RotateError::NotPublished)
    ));
    let jwk = other
        .to_jwk()
        .expect("public")
        .replace(other.id().expect("named"), &kid);
    let json = format!(r#"{{"version":1,"keys":[{{"jwk":{jwk},"sign_from":0}}]}}"#);
    world
        .document
        .replace(KeyDocument::parse(json.as_bytes()).expect("ours"));
    let end = world.step(Step::Test, FIRST);
    assert!(matches!(end, Err(RotateError::DoesNotVerify)));
}

#[test]
fn a_pending_version_without_a_key_is_replaced_by_a_manual_rotation() {
    let world = World::new();
    world.rotate(FIRST).expect("a first key");
    world.stage(SECOND);
    let text = Secret::new("somebody else's".to_owned());
    world.values.borrow_mut().insert(SECOND.to_owned(), text);
    world.step(Step::Create, SECOND).expect("it has a value");
    let end = world.step(Step::Set, SECOND);
    assert!(matches!(end, Err(RotateError::NoKey)));
    let third = ready(rotate_now(&world.rotation())).expect("another");
    assert_ne!(third, SECOND);
}
