//! Feedback by [zxcvbn], which models how attackers guess: words, dates, keyboard rows, repeats.
//!
//! [zxcvbn]: https://www.usenix.org/conference/usenixsecurity16/technical-sessions/presentation/wheeler

use portcullis_core::password::Password;
use portcullis_core::password::advice::{MAX_SUGGESTIONS, StrengthFeedback};
use zeroize::Zeroizing;
use zxcvbn::feedback::{Suggestion, Warning};
use zxcvbn::zxcvbn;

/// The number of characters that zxcvbn examines: its cost grows faster than the length, and a
/// strong prefix stays strong.
const LOOKED_AT: usize = 100;

/// The feedback for the owner of `password`, if an attacker knows the words `known`.
pub(super) fn of(password: &Password, known: &[String]) -> StrengthFeedback {
    let looked_at: Zeroizing<String> =
        Zeroizing::new(password.as_text().chars().take(LOOKED_AT).collect());
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let estimate = zxcvbn(&looked_at, &known);
    let feedback = estimate.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning);
    let given = feedback.map_or(&[][..], zxcvbn::feedback::Feedback::suggestions);
    let mut suggestions = [None; MAX_SUGGESTIONS];
    for (place, suggestion) in suggestions.iter_mut().zip(given) {
        *place = Some(suggested(*suggestion));
    }
    if given.is_empty() {
        // zxcvbn accepts the password; another rule rejected it.
        suggestions = [
            Some(suggested(Suggestion::AddAnotherWordOrTwo)),
            None,
            None,
            None,
        ];
    }
    StrengthFeedback {
        score: u8::from(estimate.score()),
        warning: warning.map(warned),
        suggestions,
    }
}

const fn warned(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => "straight rows of keys are easy to guess",
        Warning::ShortKeyboardPatternsAreEasyToGuess => "short keyboard patterns are easy to guess",
        Warning::RepeatsLikeAaaAreEasyToGuess => "repeats like \"aaa\" are easy to guess",
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => {
            "repeats like \"abcabcabc\" are hardly harder to guess than \"abc\""
        }
        Warning::ThisIsATop10Password => "this is one of the ten most common passwords",
        Warning::ThisIsATop100Password => "this is one of the hundred most common passwords",
        Warning::ThisIsACommonPassword => "this is a very common password",
        Warning::ThisIsSimilarToACommonlyUsedPassword => "this is similar to a common password",
        Warning::SequencesLikeAbcAreEasyToGuess => "sequences like abc or 6543 are easy to guess",
        Warning::RecentYearsAreEasyToGuess => "recent years are easy to guess",
        Warning::AWordByItselfIsEasyToGuess => "a word by itself is easy to guess",
        Warning::DatesAreOftenEasyToGuess => "dates are often easy to guess",
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => {
            "names by themselves are easy to guess"
        }
        Warning::CommonNamesAndSurnamesAreEasyToGuess => "common names are easy to guess",
    }
}

const fn suggested(suggestion: Suggestion) -> &'static str {
    match suggestion {
        Suggestion::UseAFewWordsAvoidCommonPhrases => "use a few words, avoid common phrases",
        Suggestion::NoNeedForSymbolsDigitsOrUppercaseLetters => {
            "symbols, digits and capital letters are not needed"
        }
        Suggestion::AddAnotherWordOrTwo => "add another word or two; uncommon ones are better",
        Suggestion::CapitalizationDoesntHelpVeryMuch => "capital letters hardly help",
        Suggestion::AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase => {
            "all capitals are almost as easy to guess as none"
        }
        Suggestion::ReversedWordsArentMuchHarderToGuess => {
            "reversed words are hardly harder to guess"
        }
        Suggestion::PredictableSubstitutionsDontHelpVeryMuch => {
            "substitutions like \"@\" for \"a\" hardly help"
        }
        Suggestion::UseALongerKeyboardPatternWithMoreTurns => {
            "use a longer keyboard pattern with more turns"
        }
        Suggestion::AvoidRepeatedWordsAndCharacters => "avoid repeated words and characters",
        Suggestion::AvoidSequences => "avoid sequences",
        Suggestion::AvoidRecentYears => "avoid recent years",
        Suggestion::AvoidYearsThatAreAssociatedWithYou => "avoid years that have to do with you",
        Suggestion::AvoidDatesAndYearsThatAreAssociatedWithYou => {
            "avoid dates that have to do with you"
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;
    use proptest::prelude::*;

    use super::*;

    fn advice(text: &str, known: &[&str]) -> StrengthFeedback {
        let password = Password::parse(&Secret::new(text.to_owned())).expect("short enough");
        let known: Vec<_> = known.iter().map(|word| (*word).to_owned()).collect();
        of(&password, &known)
    }

    #[test]
    fn a_weak_password_gets_feedback_and_a_strong_one_a_high_score() {
        let weak = advice("password", &[]);
        assert_eq!(weak.score, 0);
        assert_eq!(
            weak.warning,
            Some("this is one of the ten most common passwords")
        );
        assert!(weak.suggestions[0].is_some());
        assert_eq!(advice("gravel otter lampshade quince", &[]).score, 4);
        let own = "wolkenbruchhausen";
        assert!(advice(own, &[own]).score < advice(own, &[]).score);
    }

    #[test]
    fn zxcvbn_examines_only_the_start_of_the_longest_password() {
        let long = "x1".repeat(128);
        assert!(advice(&long, &[]).score <= 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        // A panic in zxcvbn would end the process.
        #[test]
        fn any_password_gets_feedback_without_a_panic(text in "\\PC{0,60}", digits in "[0-9/. -]{0,40}") {
            prop_assert!(advice(&text, &[]).score <= 4);
            prop_assert!(advice(&digits, &[&digits]).score <= 4);
        }
    }
}
