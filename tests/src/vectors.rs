//! Vectors: a question, and the answer that the standard or a person expects.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// A question about a signature with its expected answer.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name, unique in the whole corpus.
    pub id: String,
    /// The question, a line of JSON.
    pub line: String,
    /// The expected result.
    pub expected: Expected,
}

/// An expected answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    /// The signature holds.
    Accept,
    /// It does not, or must not be looked at; the reason where it is known beforehand.
    Reject(Option<String>),
}

/// The compared part of a line or a result.
#[derive(Deserialize)]
struct ExpectedOutcome {
    id: String,
    result: String,
    reason: Option<String>,
}

impl Expected {
    /// The content of a result, with its id.
    ///
    /// # Panics
    ///
    /// If it is no answer.
    pub fn of_answer(answer: &str) -> (String, Self) {
        let ExpectedOutcome { id, result, reason } = serde_json::from_str(answer).expect(answer);
        match result.as_str() {
            "accept" => (id, Self::Accept),
            "reject" => (id, Self::Reject(reason)),
            other => panic!("no result: {other}"),
        }
    }

    /// Whether `answer` is as expected; a reason counts where one is expected.
    pub fn is_met_by(&self, answer: &Self) -> bool {
        match (self, answer) {
            (Self::Accept, Self::Accept) | (Self::Reject(None), Self::Reject(_)) => true,
            (Self::Reject(Some(reason)), Self::Reject(given)) => Some(reason) == given.as_ref(),
            (Self::Accept, Self::Reject(_)) | (Self::Reject(_), Self::Accept) => false,
        }
    }
}

/// The folder of committed vectors.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The committed questions about signatures, each with its `result` (and `reason`) in the line.
///
/// # Panics
///
/// If the files are not there or not well formed.
pub fn committed() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for file in ["jose/rfc.jsonl", "jose/ed25519.jsonl"] {
        let text = fs::read_to_string(folder().join(file)).expect(file);
        vectors.extend(text.lines().map(|line| {
            let (id, expected) = Expected::of_answer(line);
            Vector {
                id,
                line: line.to_owned(),
                expected,
            }
        }));
    }
    vectors
}

/// A vector from its question; `question` gets the `id`.
pub fn vector(id: &str, mut question: Value, expected: Expected) -> Vector {
    question["id"] = id.into();
    Vector {
        id: id.to_owned(),
        line: question.to_string(),
        expected,
    }
}
