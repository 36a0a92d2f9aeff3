//! Sums of requirements: a request that reaches several routes must satisfy all of them.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::json::Json;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn claims(scopes: &[&str], roles: &[&str]) -> Claims {
    let roles: Vec<_> = roles.iter().map(|role| Json::quote(role)).collect();
    let payload = format!(
        r#"{{"iss":"us","sub":"alice","aud":"api","exp":2000,"iat":1000,"jti":"t1","client_id":"web",
            "scope":"{}","roles":[{}]}}"#,
        scopes.join(" "),
        roles.join(",")
    );
    Claims::parse(payload.as_bytes()).expect("good")
}

fn names(least: usize) -> impl Strategy<Value = Vec<String>> {
    let some = subsequence(NAMES.to_vec(), least..=NAMES.len());
    some.prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn lists() -> impl Strategy<Value = Vec<AnyOf>> {
    let list = (names(1), any::<bool>()).prop_map(|(names, roles)| {
        if roles {
            AnyOf::Roles(names)
        } else {
            AnyOf::Scopes(names)
        }
    });
    // Each list once, as a sum has it.
    prop::collection::vec(list, 0..4).prop_map(|lists| {
        let mut once = Vec::new();
        add_missing(&mut once, &lists);
        once
    })
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Open, Access::Optional, Access::Token])
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let stale = prop::option::of((31_u64..40).prop_map(Duration::from_secs));
    let parts = (access(), names(0), lists(), stale, any::<[bool; 2]>());
    parts.prop_map(|(access, scopes, any_of, serve_stale, [lookup, upgrade])| {
        let mut made = Requirement::new(access);
        made.upgrade = upgrade;
        // As in a policy: an open route requires nothing of a token.
        if access != Access::Open {
            made.serve_stale = serve_stale;
        }
        if access == Access::Token {
            made.scopes = scopes;
            made.any_of = any_of;
            if lookup {
                made.revocation = RevocationMode::Lookup;
            }
        }
        made
    })
}

fn sum(one: &Requirement, other: &Requirement) -> Requirement {
    let mut sum = one.clone();
    sum.add(other);
    sum
}

/// Whether a token with these claims, or a request without a token, may pass.
fn passes(requirement: &Requirement, token: Option<&Claims>) -> bool {
    match (requirement.access, token) {
        (Access::Open | Access::Optional, _) => true,
        (Access::Token, None) => false,
        (Access::Token, Some(claims)) => requirement.check_rights(claims).is_ok(),
    }
}

#[test]
fn a_token_needs_all_scopes_and_one_of_each_list() {
    let list = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect();
    let all = Requirement {
        scopes: list(&["a"]),
        any_of: vec![
            AnyOf::Roles(list(&["r", "s"])),
            AnyOf::Scopes(list(&["b", "c"])),
            AnyOf::Scopes(list(&["c", "d"])),
            AnyOf::Roles(list(&["s", "t"])),
        ],
        ..Requirement::new(Access::Token)
    };
    let scope = Err(Denial::InsufficientScope);
    let role = Err(Denial::InsufficientRole);
    for (scopes, roles, expected) in [
        (&["a", "c"][..], &["s"][..], Ok(())),
        (&["a", "b", "d"], &["r", "t"], Ok(())),
        (&["c"], &["s"], scope),
        (&["a"], &["s"], scope),
        (&["a", "b"], &["s"], scope),
        (&["a", "c"], &[], role),
        (&["a", "c"], &["r"], role),
        (&["a", "c"], &["R", "S", "T"], role),
        (&["a", "c", "s"], &["a"], role),
        (&[], &[], scope),
    ] {
        let decided = all.check_rights(&claims(scopes, roles));
        assert_eq!(decided, expected, "{scopes:?} {roles:?}");
    }
    assert_eq!(all.named_scopes(), "a b c d");
}

proptest! {
    #[test]
    fn a_sum_admits_exactly_the_tokens_that_both_requirements_admit(
        one in requirement(),
        other in requirement(),
        scopes in subsequence(NAMES.to_vec(), 0..=NAMES.len()),
        roles in subsequence(NAMES.to_vec(), 0..=NAMES.len()),
    ) {
        let claims = claims(&scopes, &roles);
        let sum = sum(&one, &other);
        for token in [None, Some(&claims)] {
            let both = passes(&one, token) && passes(&other, token);
            prop_assert_eq!(passes(&sum, token), both);
        }
        let identity = [&one, &other].map(|own| own.access != Access::Open);
        prop_assert_eq!(sum.access == Access::Optional, sum.access != Access::Token && identity == [true; 2]);
        prop_assert_eq!(sum.upgrade, one.upgrade && other.upgrade);
        let guarded = [&one, &other].map(|own| (own.access == Access::Token).then_some(own));
        let guarded = || guarded.iter().flatten();
        let lookup = guarded().any(|own| own.revocation == RevocationMode::Lookup);
        prop_assert_eq!(sum.revocation == RevocationMode::Lookup, lookup);
        if sum.access == Access::Token {
            let never = Duration::ZERO;
            let bound = guarded().map(|own| own.serve_stale.unwrap_or(never)).min();
            prop_assert_eq!(sum.serve_stale.unwrap_or(never), bound.unwrap_or(never));
        }
    }

    #[test]
    fn the_order_of_a_sum_does_not_matter(
        one in requirement(),
        two in requirement(),
        three in requirement(),
        scopes in subsequence(NAMES.to_vec(), 0..=NAMES.len()),
        roles in subsequence(NAMES.to_vec(), 0..=NAMES.len()),
    ) {
        let claims = claims(&scopes, &roles);
        let first = sum(&sum(&one, &two), &three);
        for other in [sum(&one, &sum(&two, &three)), sum(&sum(&three, &two), &one)] {
            prop_assert_eq!(passes(&first, Some(&claims)), passes(&other, Some(&claims)));
            prop_assert_eq!(first.access, other.access);
            prop_assert_eq!(first.serve_stale, other.serve_stale);
            prop_assert_eq!(first.revocation, other.revocation);
            prop_assert_eq!(first.upgrade, other.upgrade);
        }
        prop_assert_eq!(&sum(&one, &one), &one);
    }
}
