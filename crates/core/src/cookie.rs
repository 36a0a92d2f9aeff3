//! Removes the deployment's own cookies from a request to the origin ([RFC 6265 §4.2]).
//!
//! [RFC 6265 §4.2]: https://www.rfc-editor.org/rfc/rfc6265#section-4.2

/// The prefix of every cookie that the host sets.
pub const OWN_COOKIE_PREFIX: &str = "__Host-portcullis-";

/// A `Cookie` value without our own cookies; `None` if it has none of them. All other bytes stay as
/// they are.
///
/// A comma separates as well: it joins repeated headers ([RFC 9110 §5.3]), and our values have none.
///
/// [RFC 9110 §5.3]: https://www.rfc-editor.org/rfc/rfc9110#section-5.3
pub fn without_own_cookies(value: &str) -> Option<String> {
    let mut kept = String::with_capacity(value.len());
    let mut found = false;
    let mut rest = value;
    while !rest.is_empty() {
        let separator = rest.bytes().position(|byte| matches!(byte, b';' | b','));
        let end = separator.map_or(rest.len(), |at| at.saturating_add(1));
        // A separator is one byte of ASCII, so both parts exist.
        let (piece, others) = rest.split_at_checked(end)?;
        rest = others;
        if is_own(piece) {
            found = true;
            if separator.is_none() {
                // The last pair: the separator before it goes too.
                while kept.ends_with(is_separator) {
                    kept.pop();
                }
            }
        } else if kept.is_empty() && found {
            // The blank after a removed first pair goes with it.
            kept.push_str(piece.trim_start_matches(is_blank));
        } else {
            kept.push_str(piece);
        }
    }
    found.then_some(kept)
}

/// Our own cookies in a `Cookie` value, for the host alone; `None` without one.
pub fn own_cookies(value: &str) -> Option<String> {
    let pairs = value.split([';', ',']).filter(|pair| is_own(pair));
    let own: Vec<&str> = pairs.map(|pair| pair.trim_matches(is_blank)).collect();
    (!own.is_empty()).then(|| own.join("; "))
}

const fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

const fn is_separator(char: char) -> bool {
    matches!(char, ';' | ',') || is_blank(char)
}

/// Clients compare the prefix `__Host-` in any case, so a cookie in another case may be ours too.
fn is_own(pair: &str) -> bool {
    let name = pair.trim_start_matches(is_blank).as_bytes();
    name.get(..OWN_COOKIE_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OWN_COOKIE_PREFIX.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_host_gets_its_own_cookies_alone() {
        for (value, own) in [
            (
                "a=1; __Host-portcullis-refresh=x; b=2",
                Some("__Host-portcullis-refresh=x"),
            ),
            (
                "__host-PORTCULLIS-a=1 ,\t__Host-portcullis-b=2;",
                Some("__host-PORTCULLIS-a=1; __Host-portcullis-b=2"),
            ),
            ("a=1; b=__Host-portcullis-refresh", None),
            ("", None),
        ] {
            assert_eq!(own_cookies(value).as_deref(), own, "{value}");
        }
    }

    #[test]
    fn own_cookies_are_removed_and_all_other_bytes_stay() {
        for (value, kept) in [
            ("__Host-portcullis-refresh=s", ""),
            ("a=1; __Host-portcullis-refresh=s", "a=1"),
            ("__Host-portcullis-refresh=s; a=1", "a=1"),
            ("a=1; __Host-portcullis-device=s; b=2", "a=1; b=2"),
            ("a=1;__Host-portcullis-x=s;b=2", "a=1;b=2"),
            ("a=1;\t__host-PORTCULLIS-x=s", "a=1"),
            ("a=1, __Host-portcullis-x=s, b=2", "a=1, b=2"),
            (
                "a=\"\u{e9} \u{1f511}\";  b;; __Host-portcullis-x=s; c=",
                "a=\"\u{e9} \u{1f511}\";  b;; c=",
            ),
            ("__Host-portcullis-a=1; __Host-portcullis-b=2", ""),
            ("__Host-portcullis-a=1; \u{a0}b=2", "\u{a0}b=2"),
        ] {
            assert_eq!(without_own_cookies(value).as_deref(), Some(kept), "{value}");
        }
        for value in [
            "",
            "a=1",
            "a=__Host-portcullis-x",
            "__Host-other=1; \u{e9}=2",
            ";;",
        ] {
            assert_eq!(without_own_cookies(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn other_cookies_survive_in_their_order(
            pairs in proptest::collection::vec("([a-z\u{e9}]{1,3}=[^;,]{0,4}|__Host-portcullis-[a-z]{0,3}=[!-+]{0,3})", 0..6),
        ) {
            let value = pairs.join("; ");
            let kept: Vec<_> = pairs.iter().filter(|pair| !pair.starts_with(OWN_COOKIE_PREFIX)).cloned().collect();
            if let Some(without) = without_own_cookies(&value) {
                prop_assert!(kept.len() < pairs.len());
                prop_assert!(!without.contains(OWN_COOKIE_PREFIX));
                let trim = |text: &str| text.trim_end_matches([' ', '\t']).to_owned();
                prop_assert_eq!(trim(&without), trim(&kept.join("; ")));
            } else {
                prop_assert_eq!(kept.len(), pairs.len());
            }
        }
    }
}
