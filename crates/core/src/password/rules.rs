//! The rules for a new password: long enough without the public words about its owner.
//!
//! There are no composition rules (NIST SP 800-63B-4 §3.1.1.2). The lists are checked elsewhere.

use super::{MIN_CODE_POINTS_BESIDE_FACTOR, MIN_PASSWORD_CODE_POINTS, Password, PasswordError};
use crate::email::EmailAddress;

/// The minimum length of a context word, in characters: shorter words occur in every sentence.
const MIN_WORD_LENGTH: usize = 3;

/// The minimum number of characters without the context words that an attacker tries first.
const MIN_OWN_CHARS: usize = 8;

/// The context of a password.
#[derive(Clone, Copy, Debug)]
pub struct PasswordContext<'a> {
    /// The account's address.
    pub email: &'a EmailAddress,
    /// The names of the service.
    pub services: &'a [String],
    /// Whether the account has a second factor now.
    pub second_factor: bool,
}

impl PasswordContext<'_> {
    /// The words of the address: the address, the part before the `@`, the domain, and their parts.
    pub fn address_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for spelling in [self.email.as_str(), self.email.as_typed()] {
            words.push(spelling.to_lowercase());
            let Some((local, domain)) = spelling.rsplit_once('@') else {
                continue;
            };
            words.push(domain.to_lowercase());
            // The top-level domain identifies no owner.
            let own = domain.rsplit_once('.').map_or("", |(own, _top)| own);
            words.extend([local, own].into_iter().flat_map(parts));
        }
        known_once(words)
    }

    /// The words of the service's names.
    pub fn service_words(&self) -> Vec<String> {
        known_once(self.services.iter().flat_map(|name| parts(name)).collect())
    }
}

impl Password {
    /// Checks a new password of the account by the rules that need no list.
    ///
    /// # Errors
    ///
    /// The first broken rule.
    pub fn check(&self, context: &PasswordContext<'_>) -> Result<(), PasswordError> {
        let length = self.as_text().chars().count();
        if context.second_factor && length < MIN_CODE_POINTS_BESIDE_FACTOR {
            return Err(PasswordError::TooShortBesideFactor);
        }
        if !context.second_factor && length < MIN_PASSWORD_CODE_POINTS {
            return Err(PasswordError::TooShort);
        }
        if self.repeated().is_some_and(|unit| unit < MIN_OWN_CHARS) {
            return Err(PasswordError::Repeats);
        }
        let letters: Vec<char> = self
            .as_text()
            .chars()
            .flat_map(char::to_lowercase)
            .collect();
        if left_without(&letters, &context.address_words()) < MIN_OWN_CHARS {
            return Err(PasswordError::ContainsAddress);
        }
        if left_without(&letters, &context.service_words()) < MIN_OWN_CHARS {
            return Err(PasswordError::ContainsServiceName);
        }
        Ok(())
    }

    /// The length of the sequence that fills the whole password by repetition, the last time
    /// perhaps incomplete: 3 for `abcabcab`.
    fn repeated(&self) -> Option<usize> {
        let letters: Vec<char> = self.as_text().chars().collect();
        (1..=letters.len() / 2).find(|unit| {
            let later = letters.iter().skip(*unit);
            later.eq(letters.iter().take(letters.len().saturating_sub(*unit)))
        })
    }

    /// The repeated sequence, if there is one: an attacker with a list needs only that.
    pub fn repeated_unit(&self) -> Option<&str> {
        let unit = self.repeated()?;
        let end = self.as_text().char_indices().nth(unit);
        end.and_then(|(end, _)| self.as_text().get(..end))
    }
}

/// A text and its parts between punctuation and blanks, in lower case.
fn parts(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_owned)
        .collect();
    words.push(text);
    words
}

fn known_once(mut words: Vec<String>) -> Vec<String> {
    words.retain(|word| word.chars().count() >= MIN_WORD_LENGTH);
    words.sort_unstable();
    words.dedup();
    words
}

/// The number of `letters` outside all `words`.
fn left_without(letters: &[char], words: &[String]) -> usize {
    let mut own = vec![true; letters.len()];
    for word in words {
        let word: Vec<char> = word.chars().collect();
        for (start, place) in letters.windows(word.len().max(1)).enumerate() {
            if place == word {
                own.iter_mut()
                    .skip(start)
                    .take(word.len())
                    .for_each(|own| *own = false);
            }
        }
    }
    own.iter().filter(|own| **own).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn checked(text: &str, second_factor: bool) -> Result<(), PasswordError> {
        let email = EmailAddress::parse("Ann.Lovelace+shop@B\u{fc}cherei.example").expect("good");
        let context = PasswordContext {
            email: &email,
            services: &["Acme Cloud".to_owned()],
            second_factor,
        };
        let password = Password::parse(&Secret::new(text.to_owned())).expect("short enough");
        password.check(&context)
    }

    #[test]
    fn password_length_counts_code_points_after_nfc() {
        let keys = |count: usize| (0..count).map(|at| ['\u{1f511}', '\u{1f510}', 'x'][at * at % 3]);
        assert_eq!(
            checked(&keys(14).collect::<String>(), false),
            Err(PasswordError::TooShort)
        );
        assert_eq!(checked("correct horse b", false), Ok(()));
        assert_eq!(
            checked("correct horse ", false),
            Err(PasswordError::TooShort)
        );
        assert_eq!(
            checked("corre\u{301}ct horse ", false),
            Err(PasswordError::TooShort)
        );
    }

    #[test]
    fn with_a_second_factor_eight_characters_are_enough_and_seven_are_not() {
        assert_eq!(checked("tr0ub4do", true), Ok(()));
        assert_eq!(
            checked("tr0ub4d", true),
            Err(PasswordError::TooShortBesideFactor)
        );
        assert_eq!(checked("tr0ub4do", false), Err(PasswordError::TooShort));
    }

    #[test]
    fn a_repeated_sequence_counts_once() {
        for repeats in [
            "               ",
            "aaaaaaaaaaaaaaaa",
            "abcabcabcabcabcab",
            "1234567123456712",
        ] {
            assert_eq!(
                checked(repeats, false),
                Err(PasswordError::Repeats),
                "{repeats}"
            );
        }
        assert_eq!(
            checked("12345678 1234567", false),
            Ok(()),
            "a list would say more"
        );
    }

    #[test]
    fn the_repeated_sequence_is_returned() {
        for (text, unit) in [
            ("password password ", Some("password ")),
            ("abcabcab", Some("abc")),
            ("abc", None),
            ("\u{e9}\u{e9}", Some("\u{e9}")),
            ("", None),
        ] {
            let password = Password::parse(&Secret::new(text.to_owned())).expect("short");
            assert_eq!(password.repeated_unit(), unit, "{text}");
        }
    }

    #[test]
    fn words_of_the_address_and_the_service_do_not_count() {
        use PasswordError::{ContainsAddress, ContainsServiceName};
        for (text, expected) in [
            (
                "ann.lovelace+shop@b\u{fc}cherei.example",
                Err(ContainsAddress),
            ),
            ("ANN LOVELACE 2026", Err(ContainsAddress)),
            ("lovelace1234567", Err(ContainsAddress)),
            ("lovelace12345678", Ok(())),
            ("b\u{fc}cherei b\u{fc}cherei 1", Err(ContainsAddress)),
            ("Acme Cloud 2026!", Err(ContainsServiceName)),
            ("acmecloudacmecloud1", Err(ContainsServiceName)),
            ("the annual horse of the year", Ok(())),
            ("my acme horse is in the cloud", Ok(())),
        ] {
            assert_eq!(checked(text, false), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_password_below_the_minimum_length_passes(text in "\\PC{0,80}", second_factor: bool) {
            let least = if second_factor { 8 } else { 15 };
            if checked(&text, second_factor).is_ok() {
                let password = Password::parse(&Secret::new(text)).expect("short enough");
                let length = password.as_text().chars().count();
                prop_assert!(length >= least);
            }
        }
    }
}
