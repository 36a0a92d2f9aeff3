//! Every signature question with the result of the native verifier.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use portcullis_tests::vectors::{Expected, Vector, committed, folder};
use portcullis_tests::{attacks, verifier, wycheproof};
use serde::Deserialize;

/// Vectors with an official result other than ours, with the reason. `set-3..7` are five of them.
#[derive(Deserialize)]
struct Exception {
    why: String,
    answer: String,
    ids: Vec<String>,
}

fn each(ids: &str) -> Vec<String> {
    let Some((first, last)) = ids.split_once("..") else {
        return vec![ids.to_owned()];
    };
    let (set, first) = first.rsplit_once('-').expect(ids);
    let numbers = first.parse::<u32>().expect(ids)..=last.parse().expect(ids);
    numbers.map(|number| format!("{set}-{number}")).collect()
}

/// Wycheproof takes seconds, so it runs once.
static WYCHEPROOF: LazyLock<Vec<(Vector, Expected)>> = LazyLock::new(|| {
    let vectors = wycheproof::all().vectors.into_iter();
    vectors
        .map(|vector| {
            let answer = answer(&vector);
            (vector, answer)
        })
        .collect()
});

fn answer(vector: &Vector) -> Expected {
    let (id, answer) = Expected::of_answer(&verifier::signature(&vector.line));
    assert_eq!(id, vector.id);
    answer
}

/// The vectors with an unexpected result, and that result.
fn differences<'v>(
    answered: impl IntoIterator<Item = (&'v Vector, Expected)>,
) -> BTreeMap<String, String> {
    let differ = answered
        .into_iter()
        .filter(|(vector, answer)| !vector.expected.is_met_by(answer));
    differ
        .map(|(vector, answer)| {
            let reported = match answer {
                Expected::Accept => "accept".to_owned(),
                Expected::Reject(reason) => reason.unwrap_or_default(),
            };
            (vector.id.clone(), reported)
        })
        .collect()
}

fn with_answers(vectors: &[Vector]) -> impl Iterator<Item = (&Vector, Expected)> {
    vectors.iter().map(|vector| (vector, answer(vector)))
}

#[test]
fn the_examples_of_the_standards_verify_as_stated() {
    let vectors = committed();
    assert_eq!(vectors.len(), 34);
    assert_eq!(differences(with_answers(&vectors)), BTreeMap::new());
}

#[test]
fn every_attack_is_rejected_and_its_harmless_twin_accepted() {
    let vectors = attacks::all();
    assert_eq!(differences(with_answers(&vectors)), BTreeMap::new());
    let passing = vectors
        .iter()
        .filter(|vector| vector.expected == Expected::Accept);
    assert!(
        passing.count() >= 15,
        "each kind of attack has its harmless twin"
    );
}

#[test]
fn wycheproof_results_match_except_for_the_listed_exceptions() {
    let all = wycheproof::all();
    // A changed count means a changed set of vectors, to be reviewed.
    assert_eq!((all.vectors.len(), all.not_text), (4_704, 142));
    let answered = WYCHEPROOF
        .iter()
        .map(|(vector, answer)| (vector, answer.clone()));
    let file = folder().join("wycheproof-exceptions.json");
    let exceptions: Vec<Exception> =
        serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("exceptions");
    let mut listed = BTreeMap::new();
    for exception in exceptions {
        assert!(!exception.why.is_empty());
        for id in exception.ids.iter().flat_map(|ids| each(ids)) {
            let twice = listed.insert(id, exception.answer.clone());
            assert_eq!(twice, None, "an exception is listed once");
        }
    }
    assert_eq!(differences(answered), listed, "found, and listed");
}

#[test]
fn every_vector_has_a_unique_name() {
    let all = [committed(), attacks::all(), wycheproof::all().vectors].concat();
    let names: BTreeSet<_> = all.iter().map(|vector| &vector.id).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn every_algorithm_has_valid_and_invalid_vectors() {
    for algorithm in [
        "EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256",
    ] {
        let named = format!(r#""alg":"{algorithm}","input""#);
        let of_it = WYCHEPROOF
            .iter()
            .filter(|(vector, _)| vector.line.contains(&named));
        let (passing, failing): (Vec<_>, Vec<_>) =
            of_it.partition(|(_, answer)| *answer == Expected::Accept);
        // Most messages of the HMAC set are no text.
        let least = if algorithm == "HS256" { 3 } else { 10 };
        assert!(passing.len() >= least && failing.len() >= 10, "{algorithm}");
    }
}
