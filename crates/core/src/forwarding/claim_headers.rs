//! Header values of claims: their encoding at the edge, and its reverse at an origin.

use core::fmt::Write as _;

use crate::json::Json;
use crate::token::claims::Claims;

/// The maximum length of all headers of claims in one request, names and values together, in bytes.
pub const MAX_CLAIM_HEADER_BYTES: usize = 4_096;

/// Claims that are no header of a claim: they identify or bound the token, or have a header of
/// their own.
pub(super) const RESERVED_CLAIMS: &[&str] =
    &["aud", "cnf", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// Claims that count only if the issuer says that they are verified ([OpenID Connect Core §5.1]).
///
/// [OpenID Connect Core §5.1]: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
const VERIFIED_BY: &[(&str, &str)] = &[
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

/// The header value of the claim `name`; `None` if the token has none that can be a header.
pub(super) fn value_of(claims: &Claims, name: &str) -> Option<String> {
    for (own, verified) in VERIFIED_BY {
        // SECURITY: an account may claim the address of another user.
        if *own == name && claims.all.get(verified).and_then(Json::as_bool) != Some(true) {
            return None;
        }
    }
    header_value(claims.all.get(name)?)
}

/// The header value: one value, or the values of an array separated by commas. In each value, every
/// byte beyond visible ASCII, `%` and `,` is percent-encoded ([RFC 3986 §2.1]), so a comma separates
/// exactly the values. `None` for an object, `null`, an empty array, and an array with one of these.
///
/// [RFC 3986 §2.1]: https://www.rfc-editor.org/rfc/rfc3986#section-2.1
fn header_value(claim: &Json) -> Option<String> {
    let values = match claim {
        Json::Array(values) => values.as_slice(),
        Json::Null
        | Json::Bool(_)
        | Json::Whole(_)
        | Json::Decimal(_)
        | Json::Text(_)
        | Json::Object(_) => core::slice::from_ref(claim),
    };
    let mut text = String::new();
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        match value {
            Json::Text(value) => encode(value, &mut text),
            Json::Decimal(number) => encode(number, &mut text),
            Json::Whole(number) => write!(text, "{number}").ok()?,
            Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Json::Null | Json::Array(_) | Json::Object(_) => return None,
        }
    }
    (!values.is_empty()).then_some(text)
}

fn encode(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b',') {
            text.push(char::from(byte));
        } else {
            // Into a string, which never fails.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// The values of a header that [`HeaderRules::claim_headers`] made. `None` for an escape that is not
/// `%` and two hexadecimal digits, or that is no UTF-8.
///
/// [`HeaderRules::claim_headers`]: super::HeaderRules::claim_headers
pub fn decode_values(text: &str) -> Option<Vec<String>> {
    text.split(',').map(decode).collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{HeaderRules, comparable};
    use super::*;
    use crate::denial::Denial;

    fn claims(members: &str) -> Claims {
        let payload = format!(
            r#"{{"iss":"us","sub":"alice","aud":"api","exp":2000,"iat":1000,"jti":"t1","client_id":"web"{members}}}"#
        );
        Claims::parse(payload.as_bytes()).expect("good")
    }

    fn with(header: &str, claim: &str) -> Option<HeaderRules> {
        HeaderRules::default().with_claims(vec![(header.to_owned(), claim.to_owned())])
    }

    fn header(claim: &str, members: &str) -> Option<String> {
        let rules = with("x-auth-value", claim).expect("rules");
        let mut headers = rules.claim_headers(&claims(members)).expect("short");
        assert!(headers.len() <= 1);
        let (name, value) = headers.pop()?;
        assert_eq!(name, "x-auth-value");
        Some(value)
    }

    #[test]
    fn a_claim_is_one_encoded_value_or_values_separated_by_commas() {
        for (json, expected) in [
            (r#""pro""#, Some("pro")),
            (r#""""#, Some("")),
            (r#""a b""#, Some("a%20b")),
            (r#""100%,ok""#, Some("100%25%2Cok")),
            (r#""josé""#, Some("jos%C3%A9")),
            (
                r#""a\r\nx-auth-subject: eve""#,
                Some("a%0D%0Ax-auth-subject:%20eve"),
            ),
            (r#""\u0000\u007f""#, Some("%00%7F")),
            ("3", Some("3")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("-1.5e+3", Some("-1.5e+3")),
            ("true", Some("true")),
            ("false", Some("false")),
            (r#"["a,b","c",1,-2,true]"#, Some("a%2Cb,c,1,-2,true")),
            (r#"["a"]"#, Some("a")),
            (r#"["",""]"#, Some(",")),
            ("[]", None),
            ("null", None),
            ("{}", None),
            (r#"{"a":1}"#, None),
            (r#"["a",null]"#, None),
            (r#"["a",["b"]]"#, None),
            (r#"["a",{}]"#, None),
        ] {
            let told = header("plan", &format!(r#","plan":{json}"#));
            assert_eq!(told.as_deref(), expected, "{json}");
        }
        assert_eq!(header("plan", ""), None);
        assert_eq!(
            header("roles", r#","roles":["a","b"]"#).as_deref(),
            Some("a,b")
        );
    }

    #[test]
    fn account_takeover_an_address_that_is_not_verified_is_not_forwarded() {
        let email = r#","email":"a@example.com""#;
        let told = header("email", &format!(r#"{email},"email_verified":true"#));
        assert_eq!(told.as_deref(), Some("a@example.com"));
        for verified in ["false", "null", r#""true""#, "1", "[true]"] {
            let told = header("email", &format!(r#"{email},"email_verified":{verified}"#));
            assert_eq!(told, None, "{verified}");
        }
        assert_eq!(header("email", email), None);
        let other = header("email", &format!(r#"{email},"phone_number_verified":true"#));
        assert_eq!(other, None);
        let phone = r#","phone_number":"+1555""#;
        assert_eq!(header("phone_number", phone), None);
        let told = header(
            "phone_number",
            &format!(r#"{phone},"phone_number_verified":true"#),
        );
        assert_eq!(told.as_deref(), Some("+1555"));
    }

    #[test]
    fn headers_of_claims_have_at_most_4_kb_together_and_are_never_sent_in_part() {
        let names = ["x-auth-a", "x-auth-b"];
        let rules = HeaderRules::default().with_claims(vec![
            (names[0].to_owned(), "a".to_owned()),
            (names[1].to_owned(), "b".to_owned()),
        ]);
        let rules = rules.expect("rules");
        let room = MAX_CLAIM_HEADER_BYTES - names.concat().len();
        let token = |first: usize, second: usize| {
            let (first, second) = ("x".repeat(first), "x".repeat(second));
            claims(&format!(r#","a":"{first}","b":"{second}""#))
        };
        let sent = rules.claim_headers(&token(room - 10, 10)).expect("fits");
        assert_eq!(sent.len(), 2);
        let refused = Err(Denial::UnforwardableClaim);
        assert_eq!(rules.claim_headers(&token(room - 10, 11)), refused);
        assert_eq!(rules.claim_headers(&token(room + 1, 0)), refused);
        // The encoded form counts.
        let encoded = "\u{e4}".repeat(room / 6 + 3);
        let long = claims(&format!(r#","a":"{encoded}""#));
        assert_eq!(rules.claim_headers(&long), refused);
    }

    #[test]
    fn a_header_of_a_claim_is_under_the_prefix_and_is_no_other_header() {
        for (header, claim) in [
            ("x-auth-plan", "plan"),
            ("x-auth-roles", "roles"),
            ("x-auth-groups", "roles"),
            ("x-auth-email", "email"),
            ("x-auth-client", "client_id"),
            ("x-auth-plan2", "https://app.example/plan"),
        ] {
            assert!(with(header, claim).is_some(), "{header}");
        }
        for header in [
            "",
            "x-auth",
            "x-auth-",
            "X-Auth-Plan",
            "x-auth_plan",
            "x-auth-p lan",
            "x-auth-ä",
            "x-plan",
            "plan",
            "x-auth-subject",
            "x-auth-issuer",
            "x-auth-scope",
            "x-auth-session",
            "x-portcullis-plan",
            "x-forwarded-for",
            "x-request-id",
        ] {
            assert_eq!(with(header, "plan"), None, "{header}");
        }
        // SECURITY: an origin reads the roles from this header.
        assert_eq!(with("x-auth-roles", "groups"), None);
        for claim in RESERVED_CLAIMS.iter().chain(&[""]) {
            assert_eq!(with("x-auth-plan", claim), None, "{claim}");
        }
        let passed = HeaderRules::new("x-auth-", vec!["x-auth-plan".to_owned()], vec![]);
        let claim = ("x-auth-plan".to_owned(), "plan".to_owned());
        assert_eq!(passed.expect("rules").with_claims(vec![claim]), None);
    }

    #[test]
    fn a_client_cannot_spoof_a_header_of_a_claim_in_any_spelling() {
        let rules = with("x-auth-plan", "plan").expect("rules");
        for spelled in ["x-auth-plan", "X-Auth_Plan", "x.auth.plan", "X!AUTH!PLAN"] {
            assert!(rules.drops(spelled), "{spelled}");
        }
        // Without a policy for it too: an origin reads the roles there.
        assert!(HeaderRules::default().drops("X_Auth_Roles"));
        assert_eq!(
            HeaderRules::new("x-auth-", vec!["x-auth-roles".to_owned()], vec![]),
            None
        );
    }

    #[test]
    fn an_escape_that_is_no_utf_8_is_not_decoded() {
        let values = |texts: &[&str]| Some(texts.iter().map(|one| (*one).to_owned()).collect());
        assert_eq!(decode_values("a%2Cb,c%c3%A9"), values(&["a,b", "c\u{e9}"]));
        assert_eq!(decode_values(""), values(&[""]));
        for bad in [
            "%",
            "%2",
            "%2x",
            "%x2",
            "%C3",
            "%C0%80",
            "%ED%A0%80",
            "%FF",
            "a,%",
        ] {
            assert_eq!(decode_values(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_array_of_texts_survives_the_header(values in prop::collection::vec(any::<String>(), 1..6)) {
            let array = Json::Array(values.iter().map(|value| Json::from(value.as_str())).collect());
            let text = header_value(&array).expect("a header");
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(decode_values(&text), Some(values));
        }

        #[test]
        fn any_text_is_decoded_or_rejected_without_panic(text: String) {
            let _ = decode_values(&text);
        }

        #[test]
        fn any_name_of_a_header_of_a_claim_is_dropped_from_a_client(name in "x-auth-[a-zA-Z0-9_.-]{0,12}") {
            if let Some(rules) = with(&name, "plan") {
                prop_assert!(rules.drops(&name) && comparable(&name) == name);
            }
        }
    }
}
