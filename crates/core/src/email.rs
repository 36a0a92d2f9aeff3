//! Email addresses, parsed once and compared in a normal form.
//!
//! INVARIANT: the normal form never merges two mailboxes that Unicode distinguishes. Every fold
//! beyond ASCII case gives an address to the first person who registers another spelling of it
//! ("Unicode case mapping collision": U+212A KELVIN SIGN folds to `k`), and mail to that spelling
//! is undeliverable.

use core::fmt;

use email_address::Options;
use thiserror::Error;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The maximum length of an address, in bytes: a path of [RFC 5321 §4.5.3.1.3] without its
/// brackets.
///
/// [RFC 5321 §4.5.3.1.3]: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3
pub const MAX_ADDRESS_BYTES: usize = 254;

/// The maximum length of a local part, in bytes ([RFC 5321 §4.5.3.1.1]).
///
/// [RFC 5321 §4.5.3.1.1]: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.1
const MAX_LOCAL_PART_BYTES: usize = 64;

/// An address in two forms: the normal form for account lookup, and the form for sending mail.
///
/// The normal form is the local part in ASCII lower case and the domain in its ASCII form (IDNA, UTS
/// 46). RFC 5321 §2.4 lets hosts distinguish `Bob@` from `bob@`, but people do not. A local part
/// that is not in NFC is rejected ([RFC 6532 §3.1]), so no normalisation changes it.
///
/// [RFC 6532 §3.1]: https://www.rfc-editor.org/rfc/rfc6532#section-3.1
#[derive(Clone, Eq, PartialEq)]
pub struct EmailAddress {
    normal: String,
    typed: String,
    domain_at: usize,
}

/// The text is no acceptable address. States the violated rule, never the text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum EmailError {
    /// There is no `@`.
    #[error("an address has a local part and a domain around an @")]
    NoAtSign,
    /// The address is longer than a path may be.
    #[error("an address is at most 254 bytes long")]
    TooLong,
    /// The local part is invalid ([RFC 5321 §4.1.2], [RFC 6531 §3.3]) or quoted.
    ///
    /// [RFC 5321 §4.1.2]: https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2
    /// [RFC 6531 §3.3]: https://www.rfc-editor.org/rfc/rfc6531#section-3.3
    #[error("the part before the @ is not one that mail can be sent to")]
    BadLocalPart,
    /// The local part is not in Unicode normalisation form C ([RFC 6532 §3.1]): another spelling
    /// looks the same.
    ///
    /// [RFC 6532 §3.1]: https://www.rfc-editor.org/rfc/rfc6532#section-3.1
    #[error("the part before the @ is not in Unicode normalisation form C")]
    NotNfc,
    /// The local part has characters beyond ASCII, and the mailer cannot deliver such mail
    /// ([RFC 6531 §3.1]).
    ///
    /// [RFC 6531 §3.1]: https://www.rfc-editor.org/rfc/rfc6531#section-3.1
    #[error("the part before the @ has characters beyond ASCII, to which no mail can be sent")]
    NeedsSmtpUtf8,
    /// The domain is no host name under a top-level domain; address literals are rejected.
    #[error("the part behind the @ is not a full domain name")]
    BadDomain,
}

impl EmailAddress {
    /// Parses an address as typed; surrounding spaces are ignored.
    ///
    /// # Errors
    ///
    /// The first rule that `text` violates.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        // Trims spaces but not line breaks, which are no typing mistake.
        let typed = text.trim_matches([' ', '\t', '\u{a0}']);
        if typed.len() > MAX_ADDRESS_BYTES {
            return Err(EmailError::TooLong);
        }
        let (typed_local, domain) = typed.rsplit_once('@').ok_or(EmailError::NoAtSign)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::BadDomain)?;
        if !domain.contains('.') || is_dotted_number(&domain) {
            return Err(EmailError::BadDomain);
        }
        if !is_local_part(typed_local) {
            return Err(EmailError::BadLocalPart);
        }
        if !is_nfc(typed_local) {
            return Err(EmailError::NotNfc);
        }
        let local = typed_local.to_ascii_lowercase();
        let normal = format!("{local}@{domain}");
        if normal.len() > MAX_ADDRESS_BYTES {
            return Err(EmailError::TooLong);
        }
        let domain_at = local.len().saturating_add(1);
        Ok(Self {
            normal,
            typed: typed.to_owned(),
            domain_at,
        })
    }

    /// The address of a stored account under the normal form `key`. An earlier version folded the
    /// local part to NFC and Unicode lower case. Mail to such an account goes to the key: the
    /// stored spelling is that of another mailbox, or of none. Returns `None` if `typed` never had
    /// this key.
    pub fn from_store(typed: &str, key: &Self) -> Option<Self> {
        if let Ok(address) = Self::parse(typed)
            && address.normal == key.normal
        {
            return Some(address);
        }
        let (local, domain) = typed.rsplit_once('@')?;
        let local = local.nfc().collect::<String>().to_lowercase();
        let domain = idna::domain_to_ascii_strict(domain).ok()?;
        (format!("{local}@{domain}") == key.normal).then(|| Self {
            normal: key.normal.clone(),
            typed: key.normal.clone(),
            domain_at: key.domain_at,
        })
    }

    /// Checks that mail to a new address can be delivered. `smtputf8` is whether the mailer
    /// supports local parts beyond ASCII.
    ///
    /// # Errors
    ///
    /// [`EmailError::NeedsSmtpUtf8`].
    pub fn check_deliverable(&self, smtputf8: bool) -> Result<(), EmailError> {
        let local = self.normal.rsplit_once('@').map_or("", |(local, _)| local);
        if local.is_ascii() || smtputf8 {
            Ok(())
        } else {
            Err(EmailError::NeedsSmtpUtf8)
        }
    }

    /// The normal form: addresses with the same normal form belong to one account.
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// The address as typed, for sending mail.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The address for mail: the local part as typed, because only its host may treat spellings as
    /// equal ([RFC 5321 §2.4]), and the domain in its ASCII form.
    ///
    /// [RFC 5321 §2.4]: https://www.rfc-editor.org/rfc/rfc5321#section-2.4
    pub fn deliverable(&self) -> String {
        let local = self.typed.rsplit_once('@').map_or("", |(local, _)| local);
        format!("{local}@{}", self.domain())
    }

    /// The domain of the normal form.
    pub fn domain(&self) -> &str {
        self.normal.get(self.domain_at..).unwrap_or_default()
    }
}

/// Whether mail can be sent to this local part. Quoted ones are rejected.
fn is_local_part(local: &str) -> bool {
    // Beyond ASCII the crate accepts only letters and digits, but RFC 6531 permits every mark that
    // a script needs. The crate checks the structure, this function those characters.
    let stands_for = |letter: char| if letter.is_ascii() { letter } else { 'a' };
    let shape: String = local.chars().map(stands_for).collect();
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    let shape = format!("{shape}@example.com");
    local.len() <= MAX_LOCAL_PART_BYTES
        && !local.contains('"')
        && !local.chars().any(is_unseen)
        && email_address::EmailAddress::parse_with_options(&shape, options).is_ok()
}

/// Whether a non-ASCII character is whitespace, a control, private use or invisible. Two accounts
/// could otherwise have addresses that look the same.
fn is_unseen(letter: char) -> bool {
    is_invisible(letter) || letter.is_control() || letter.is_whitespace()
}

/// Default ignorable code points, format characters (Unicode category Cf), fillers, private use and
/// noncharacters.
const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// Some parsers read a numeric last label as an IPv4 address ([RFC 3696 §2]).
///
/// [RFC 3696 §2]: https://www.rfc-editor.org/rfc/rfc3696#section-2
fn is_dotted_number(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
}

/// SECURITY: prints the domain alone, so logs hold no full address.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress(..@{})", self.domain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<String, EmailError> {
        EmailAddress::parse(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_address_share_a_normal_form() {
        for (typed, normal) in [
            ("Alice@Example.COM", "alice@example.com"),
            (" alice@example.com ", "alice@example.com"),
            ("a.b+tag@example.co.uk", "a.b+tag@example.co.uk"),
            ("JOS\u{e9}@example.com", "jos\u{e9}@example.com"),
            ("info@B\u{fc}cher.example", "info@xn--bcher-kva.example"),
            ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example"),
            ("o'hara#1@example.com", "o'hara#1@example.com"),
        ] {
            assert_eq!(parse(typed).as_deref(), Ok(normal), "{typed}");
        }
        let address = EmailAddress::parse("Alice@B\u{fc}cher.example").expect("good");
        assert_eq!(address.as_typed(), "Alice@B\u{fc}cher.example");
        assert_eq!(address.domain(), "xn--bcher-kva.example");
        assert_eq!(address.deliverable(), "Alice@xn--bcher-kva.example");
        assert!(!format!("{address:?}").contains("lice"));
    }

    #[test]
    fn each_violated_address_rule_is_reported() {
        use EmailError::{BadDomain, BadLocalPart, NoAtSign, NotNfc, TooLong};
        for (text, error) in [
            ("", NoAtSign),
            ("alice", NoAtSign),
            ("@example.com", BadLocalPart),
            ("a@", BadDomain),
            ("a@localhost", BadDomain),
            ("a@[127.0.0.1]", BadDomain),
            ("a@127.0.0.1", BadDomain),
            ("a@-x.example", BadDomain),
            ("a@x..example", BadDomain),
            ("a@x.example.", BadDomain),
            (".a@example.com", BadLocalPart),
            ("a..b@example.com", BadLocalPart),
            ("a b@example.com", BadLocalPart),
            ("\"a b\"@example.com", BadLocalPart),
            ("a@b@example.com", BadLocalPart),
            ("a\u{200b}b@example.com", BadLocalPart),
            ("a\u{202e}b@example.com", BadLocalPart),
            ("<\u{338}a@example.com", BadLocalPart),
            ("jose\u{301}@example.com", NotNfc),
            ("\u{212a}ate@example.com", NotNfc),
            ("\u{1fef}a@example.com", NotNfc),
            ("\u{2126}@example.com", NotNfc),
            ("\u{f900}@example.com", NotNfc),
            ("a@example.com\n", BadDomain),
            ("\r\na@example.com", BadLocalPart),
            ("a\r\nbcc:x@example.com", BadLocalPart),
            ("a\0@example.com", BadLocalPart),
            ("<a@example.com>", BadDomain),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
        assert_eq!(parse(&format!("a@{}.com", "x".repeat(250))), Err(TooLong));
        assert_eq!(
            parse(&format!("{}@example.com", "a".repeat(65))),
            Err(BadLocalPart)
        );
        assert!(parse(&format!("{}@example.com", "a".repeat(64))).is_ok());
        let wide = "\u{e9}".repeat(33);
        assert_eq!(parse(&format!("{wide}@example.com")), Err(BadLocalPart));
        assert!(parse("\u{92a}\u{930}\u{940}\u{915}\u{94d}\u{937}@example.com").is_ok());
    }

    #[test]
    fn account_takeover_no_address_has_an_invisible_character() {
        // Default_Ignorable_Code_Point and category Cf of the Unicode Character Database 16, and the
        // blank Braille pattern.
        for range in [
            0xad..=0xad,
            0x34f..=0x34f,
            0x600..=0x605,
            0x61c..=0x61c,
            0x6dd..=0x6dd,
            0x70f..=0x70f,
            0x890..=0x891,
            0x8e2..=0x8e2,
            0x115f..=0x1160,
            0x17b4..=0x17b5,
            0x180b..=0x180f,
            0x200b..=0x200f,
            0x202a..=0x202e,
            0x2060..=0x206f,
            0x2800..=0x2800,
            0x3164..=0x3164,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0xffa0..=0xffa0,
            0xfff0..=0xfffb,
            0x110bd..=0x110bd,
            0x110cd..=0x110cd,
            0x13430..=0x1343f,
            0x1bca0..=0x1bca3,
            0x1d173..=0x1d17a,
            0xe0000..=0xe0fff_u32,
        ] {
            for letter in range.filter_map(char::from_u32) {
                for text in [
                    format!("a{letter}b@example.com"),
                    format!("{letter}@example.com"),
                ] {
                    assert!(parse(&text).is_err(), "{letter:?}");
                }
            }
        }
    }

    #[test]
    fn account_takeover_no_spelling_beyond_ascii_case_shares_a_normal_form() {
        let ours = parse("kiss@example.com").expect("good");
        for typed in [
            "\u{212a}iss@example.com",
            "K\u{130}ss@example.com",
            "k\u{131}ss@example.com",
            "ki\u{17f}s@example.com",
            "ki\u{df}@example.com",
            "\u{ff4b}iss@example.com",
            "kis\u{1d42c}@example.com",
        ] {
            assert_ne!(parse(typed).as_ref(), Ok(&ours), "{typed}");
        }
        // Mail goes to the spelling that was typed.
        let address = EmailAddress::parse("KiSS@Example.com").expect("good");
        assert_eq!(address.as_str(), ours);
        assert_eq!(address.deliverable(), "KiSS@example.com");
    }

    #[test]
    fn a_local_part_beyond_ascii_is_deliverable_only_with_smtputf8() {
        for (text, ascii) in [
            ("jos\u{e9}@example.com", false),
            ("jose@example.com", true),
            ("info@B\u{fc}cher.example", true),
        ] {
            let address = EmailAddress::parse(text).expect("good");
            assert_eq!(address.check_deliverable(true), Ok(()), "{text}");
            let expected = if ascii {
                Ok(())
            } else {
                Err(EmailError::NeedsSmtpUtf8)
            };
            assert_eq!(address.check_deliverable(false), expected, "{text}");
        }
    }

    #[test]
    fn mail_to_an_account_with_a_folded_spelling_goes_to_its_key() {
        let key = EmailAddress::parse("kate@example.com").expect("good");
        for (typed, deliverable) in [
            ("Kate@Example.com", Some("Kate@example.com")),
            ("\u{212a}ate@example.com", Some("kate@example.com")),
            ("kat\u{65}@example.com", Some("kate@example.com")),
            ("eve@example.com", None),
            ("kate@example.org", None),
            ("kate", None),
            ("", None),
        ] {
            let address = EmailAddress::from_store(typed, &key);
            let reported = address.map(|address| address.deliverable());
            assert_eq!(reported.as_deref(), deliverable, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_the_ascii_lower_case_of_the_typed_local_part(text in "\\PC{1,20}", odd in any::<char>()) {
            for text in [text.clone(), format!("{text}{odd}"), odd.to_string(), format!("{odd}ate")] {
                if let Ok(address) = EmailAddress::parse(&format!("{text}@example.com")) {
                    let typed = text.trim_start_matches([' ', '\t', '\u{a0}']);
                    let expected = format!("{}@example.com", typed.to_ascii_lowercase());
                    prop_assert_eq!(address.as_str(), expected);
                    prop_assert_eq!(address.deliverable(), format!("{typed}@example.com"));
                    prop_assert!(is_nfc(address.as_str()));
                }
            }
        }

        #[test]
        fn no_address_can_inject_a_header(text in "\\PC{0,20}", odd in any::<char>()) {
            for text in [format!("{text}{odd}@example.com"), format!("a@{odd}{text}.example.com")] {
                if let Ok(address) = EmailAddress::parse(&text) {
                    let to = address.deliverable();
                    prop_assert!(!to.chars().any(|letter| letter.is_control() || letter == ' '));
                    prop_assert!(!to.contains(['<', '>', ',', '"']));
                }
            }
        }

        #[test]
        fn normalisation_of_an_address_is_idempotent(text in "\\PC{0,60}", ascii in "[a-z.+@A-Z0-9-]{0,30}") {
            for text in [text, ascii] {
                if let Ok(normal) = parse(&text) {
                    prop_assert_eq!(parse(&normal), Ok(normal.clone()));
                }
            }
        }
    }
}
