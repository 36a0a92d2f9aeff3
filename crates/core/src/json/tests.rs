use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Json, JsonError> {
    Json::parse(text.as_bytes())
}

#[test]
fn a_duplicate_json_member_is_rejected_at_any_depth() {
    assert!(parse(r#"{"a":{"b":1},"c":{"b":2}}"#).is_ok());
    for twice in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"b":0,"a":1,"c":2,"a":1}"#,
        r#"{"x":{"a":1,"a":2}}"#,
        r#"[[{"a":[{"b":1,"b":1}]}]]"#,
        r#"{"":1,"":1}"#,
    ] {
        assert_eq!(parse(twice), Err(JsonError), "{twice}");
    }
}

#[test]
fn only_one_complete_value_in_utf_8_parses() {
    assert_eq!(parse(" \t\r\n1 "), Ok(Json::Whole(1)));
    for bad in [
        "",
        " ",
        "1 2",
        "{} x",
        "{'a':1}",
        r#"{"a":1,}"#,
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "[",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{1:1}"#,
        r#"{"a" 1}"#,
        "tru",
        "True",
        "nul",
        "NaN",
        "Infinity",
        "\u{feff}1",
        "\u{a0}1",
        "//\n1",
        "'a'",
        r#"""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\ud800\ud800""#,
        r#""\x41""#,
        r#""\u00g0""#,
        r#""\u00""#,
        "\"a\nb\"",
        "\"\u{0}\"",
        "\"\u{1f}\"",
        r#""\"#,
    ] {
        assert_eq!(parse(bad), Err(JsonError), "{bad:?}");
    }
    let not_utf_8: [&[u8]; 4] = [
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf5\x80\x80\x80\"",
    ];
    for bad in not_utf_8 {
        assert_eq!(Json::parse(bad), Err(JsonError), "{bad:?}");
    }
}

#[test]
fn json_nesting_has_a_maximum_depth() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonError));
    assert_eq!(parse(&"[".repeat(100_000)), Err(JsonError));
}

#[test]
fn json_escapes_decode() {
    let text = parse(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#).expect("all of them");
    assert_eq!(text.as_text(), Some("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}"));
}

#[test]
fn a_number_is_whole_only_if_written_without_fraction_or_exponent() {
    assert_eq!(parse("18446744073709551615"), Ok(Json::Whole(u64::MAX)));
    assert_eq!(parse("0"), Ok(Json::Whole(0)));
    for decimal in [
        "-1",
        "1.0",
        "1e3",
        "1E+3",
        "0.5",
        "-0",
        "18446744073709551616",
        "1e-300",
    ] {
        assert_eq!(
            parse(decimal),
            Ok(Json::Decimal(decimal.to_owned())),
            "{decimal}"
        );
    }
    for bad in [
        "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "00", "-01", "1e301", "1e99999", "1-",
    ] {
        assert_eq!(parse(bad), Err(JsonError), "{bad}");
    }
    assert_eq!(parse(&"9".repeat(41)), Err(JsonError));
}

#[test]
fn an_object_keeps_one_value_per_member_name() {
    let mut object = Object::from_iter([("b", 1_u64), ("a", 2), ("b", 3)]);
    assert_eq!(object.to_string(), r#"{"a":2,"b":3}"#);
    assert_eq!(object.remove("a"), Some(Json::Whole(2)));
    assert_eq!((object.len(), object.contains_key("a")), (1, false));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<u64>().prop_map(Json::Whole),
        any::<String>().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// The result of a well-known parser, apart from repeated members.
fn oracle(bytes: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(bytes).ok()
}

proptest! {
    #[test]
    fn written_json_parses_to_the_same_value(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(Json::parse(text.as_bytes()), Ok(value));
        prop_assert!(oracle(text.as_bytes()).is_some());
    }

    #[test]
    fn any_bytes_parse_as_json_or_are_rejected(bytes: Vec<u8>) {
        let _ = Json::parse(&bytes);
    }

    #[test]
    fn json_that_a_lenient_parser_rejects_is_rejected(text in r#"[\[\]{}:,"\\ a0-9eE.+\-truefalsn]{0,24}"#) {
        if let Ok(value) = parse(&text) {
            let theirs = oracle(text.as_bytes());
            prop_assert!(theirs.is_some(), "{}", text);
            let again = oracle(value.to_string().as_bytes());
            prop_assert_eq!(theirs, again);
        }
    }
}

#[test]
fn a_number_has_a_whole_value_unless_it_has_a_fraction_a_sign_or_more_than_64_bits() {
    for (text, value) in [
        ("0", Some(0)),
        ("0.0", Some(0)),
        ("0e300", Some(0)),
        ("0.000e-300", Some(0)),
        ("1795876000.0", Some(1_795_876_000)),
        ("1.795876e9", Some(1_795_876_000)),
        ("1.795876E+9", Some(1_795_876_000)),
        ("17958760000e-1", Some(1_795_876_000)),
        ("1795876000000e-3", Some(1_795_876_000)),
        ("18446744073709551615.0", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("1e20", None),
        ("1e300", None),
        ("1795876000.5", None),
        ("1.7958760005e9", None),
        ("1e-1", None),
        ("1e-300", None),
        ("-1", None),
        ("-0.0", None),
        ("-1e9", None),
    ] {
        let parsed = parse(text).expect(text);
        assert_eq!(parsed.as_whole_value(), value, "{text}");
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_whole_number_has_its_value(
        number: u64,
        zeros in 0_usize..4,
        shift in 0_u32..20,
    ) {
        let trailing = "0".repeat(zeros);
        let point = format!("{number}.0{trailing}");
        prop_assert_eq!(parse(&point).expect("JSON").as_whole_value(), Some(number));
        let padded = format!("{number}{trailing}e-{zeros}");
        prop_assert_eq!(parse(&padded).expect("JSON").as_whole_value(), Some(number));
        let digits = number.to_string();
        let (first, rest) = digits.split_at(1);
        let scientific = format!("{first}.{rest}0e{}", rest.len());
        prop_assert_eq!(parse(&scientific).expect("JSON").as_whole_value(), Some(number));
        let fraction = 10_u64
            .checked_pow(shift)
            .filter(|scale| !number.is_multiple_of(*scale));
        if fraction.is_some() {
            let broken = format!("{number}e-{shift}");
            prop_assert_eq!(parse(&broken).expect("JSON").as_whole_value(), None);
        }
    }
}

proptest! {
    #[test]
    fn members_are_in_byte_order_and_a_repeated_name_is_rejected(
        names in proptest::collection::vec("[a-c]{0,3}|[a-z]{8}", 0..200),
    ) {
        let members: Vec<_> = names.iter().map(|name| format!("{}:1", Json::quote(name))).collect();
        let parsed = Json::parse_object(format!("{{{}}}", members.join(",")).as_bytes());
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        match parsed {
            Ok(object) => {
                let order: Vec<_> = object.iter().map(|(name, _)| name.to_owned()).collect();
                prop_assert_eq!(order, sorted);
            }
            Err(_) => prop_assert!(sorted.len() < names.len()),
        }
    }

    #[test]
    fn distinct_members_in_any_order_parse(names in proptest::collection::hash_set("[a-z]{1,4}", 0..200)) {
        let members: Vec<_> = names.iter().map(|name| format!("{}:1", Json::quote(name))).collect();
        let object = Json::parse_object(format!("{{{}}}", members.join(",")).as_bytes());
        let object = object.expect("distinct names");
        prop_assert!(names.iter().all(|name| object.get(name).is_some()));
        prop_assert_eq!(object.len(), names.len());
    }
}
