//! E-mail addresses from other test suites: which of them we accept, and where we differ.

use portcullis_core::email::EmailAddress;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    from: String,
    address: String,
    verdict: String,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../vectors/email/addresses.json");
    serde_json::from_str(text).expect("the vectors")
}

/// Addresses that other suites accept and we reject, or the reverse, each with the reason.
const EXCEPTIONS: [(&str, &str); 7] = [
    (
        "me@bad.tld-2",
        "the list of top-level domains is no matter of syntax",
    ),
    (" test@iana.org", "blanks around an address are ignored"),
    ("test@iana.org ", "the same"),
    (
        "\u{f96e}\u{58eb}\u{8c6a}@\u{81fa}\u{7db2}\u{4e2d}\u{5fc3}.tw",
        "the local part is not in NFC",
    ),
    (
        "\u{f96e}\u{58eb}\u{8c6a}@\u{81fa}\u{7db2}\u{4e2d}\u{5fc3}.\u{53f0}\u{7063}",
        "the local part is not in NFC",
    ),
    (
        "jeff\u{f96e}@\u{81fa}\u{7db2}\u{4e2d}\u{5fc3}.tw",
        "the local part is not in NFC",
    ),
    ("\u{1fef}@example.com", "the local part is not in NFC"),
];

/// The expected result for an address; `None` if the suite leaves it open.
fn expected(vector: &Vector) -> Option<bool> {
    match (vector.from.as_str(), vector.verdict.as_str()) {
        // Other parsers accept a display name and quotes; we do not.
        (_, "valid") => Some(!vector.address.contains(['"', '<'])),
        ("isemail", "ISEMAIL_VALID") => Some(true),
        // Hardly any mailbox has a quoted local part, and none an address literal; users do not
        // type comments or folded lines into a form.
        _ => Some(false),
    }
}

#[test]
fn addresses_of_other_suites_are_accepted_or_rejected_as_expected() {
    let mut differs = vec![];
    let vectors = vectors();
    for vector in &vectors {
        let taken = EmailAddress::parse(&vector.address).is_ok();
        let excepted = EXCEPTIONS
            .iter()
            .any(|(address, _)| *address == vector.address);
        if expected(vector).is_some_and(|expected| expected != taken) != excepted {
            differs.push((&vector.address, &vector.verdict, taken));
        }
    }
    assert!(vectors.len() > 250, "{}", vectors.len());
    assert!(differs.is_empty(), "{differs:#?}");
}

/// [RFC 3696 §3] with its errata 246 and 1690, and a mailbox of [RFC 6531 §3.3].
///
/// [RFC 3696 §3]: https://www.rfc-editor.org/rfc/rfc3696#section-3
/// [RFC 6531 §3.3]: https://www.rfc-editor.org/rfc/rfc6531#section-3.3
#[test]
fn the_examples_of_the_rfcs_hold_except_quoted_local_parts() {
    for address in [
        "user+mailbox@example.com",
        "customer/department=shipping@example.com",
        "$A12345@example.com",
        "!def!xyz%abc@example.com",
        "_somename@example.com",
        "\u{7528}\u{6237}@\u{4f8b}\u{5b50}.\u{5e7f}\u{544a}",
        "Pel\u{e9}@example.com",
    ] {
        assert!(EmailAddress::parse(address).is_ok(), "{address}");
    }
    for address in [
        r#""Abc\@def"@example.com"#,
        r#""Fred Bloggs"@example.com"#,
        r#""Joe\\Blow"@example.com"#,
        r#""Abc@def"@example.com"#,
        "user@[192.0.2.1]",
        "user@[IPv6:2001:db8::1]",
    ] {
        assert!(EmailAddress::parse(address).is_err(), "{address}");
    }
}
