//! Password feedback, as an extension member of the problem ([RFC 9457 §3.2]).
//!
//! [RFC 9457 §3.2]: https://www.rfc-editor.org/rfc/rfc9457#section-3.2

use portcullis_core::json::{Json, Object};
use portcullis_core::password::advice::StrengthFeedback;

/// Adds `feedback` to a problem: `{"score", "warning", "suggestions"}`; `warning` may be null.
pub(super) fn add(problem: &mut String, advice: &StrengthFeedback) {
    let suggestions = advice.suggestions.into_iter().flatten();
    let suggestions = suggestions
        .map(|text| Json::Text(text.to_owned()))
        .collect();
    let feedback = Json::Object(Object::from_iter([
        ("score", u64::from(advice.score).into()),
        (
            "warning",
            advice
                .warning
                .map_or(Json::Null, |text| Json::Text(text.to_owned())),
        ),
        ("suggestions", Json::Array(suggestions)),
    ]));
    if problem.ends_with('}') {
        problem.pop();
        problem.push_str(&format!(r#","feedback":{feedback}}}"#));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_keeps_the_problem_one_json_object() {
        let mut problem = r#"{"code":"password_common"}"#.to_owned();
        let advice = StrengthFeedback {
            score: 1,
            warning: Some("a word \"by itself\""),
            suggestions: [Some("another word"), None, None, None],
        };
        add(&mut problem, &advice);
        assert_eq!(
            problem,
            r#"{"code":"password_common","feedback":{"score":1,"suggestions":["another word"],"warning":"a word \"by itself\""}}"#
        );
    }
}
