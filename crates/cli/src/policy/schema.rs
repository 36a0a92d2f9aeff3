//! The names of members, from the JSON Schema of the policy.

use serde_json::Value;

/// The JSON Schema of the policy (draft 2020-12).
pub(crate) const SCHEMA: &str = include_str!("../../../../docs/reference/policy.schema.json");

/// The members of the object at `place`, such as `routes[3].cors`; none for an unknown place.
pub(crate) fn members_at(place: &str) -> Vec<String> {
    let Ok(schema) = serde_json::from_str::<Value>(SCHEMA) else {
        return Vec::new();
    };
    let mut current = resolve(&schema, &schema);
    for segment in place.split('.').filter(|segment| !segment.is_empty()) {
        let name = segment.split('[').next().unwrap_or_default();
        let Some(next) = properties(&schema, current).and_then(|all| all.get(name)) else {
            return Vec::new();
        };
        current = next;
    }
    let names = properties(&schema, current).and_then(Value::as_object);
    names.map_or_else(Vec::new, |names| names.keys().cloned().collect())
}

/// The nearest of `names` by edit distance, if it is near enough to be a slip of the pen.
pub(crate) fn nearest<'n>(
    given: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let most = (given.chars().count() / 3).max(2);
    let near = names.into_iter().map(|name| (distance(given, name), name));
    let near = near.min_by_key(|(distance, _)| *distance)?;
    (near.0 <= most).then_some(near.1)
}

/// The members of an object, of the elements of an array or of one of several forms.
fn properties<'s>(schema: &'s Value, part: &'s Value) -> Option<&'s Value> {
    let part = resolve(schema, part);
    if let Some(found) = part.get("properties") {
        return Some(found);
    }
    if let Some(items) = part.get("items") {
        return properties(schema, items);
    }
    let forms = part.get("anyOf")?.as_array()?;
    forms.iter().find_map(|form| properties(schema, form))
}

fn resolve<'s>(schema: &'s Value, part: &'s Value) -> &'s Value {
    let reference = part.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    pointer
        .and_then(|pointer| schema.pointer(pointer))
        .unwrap_or(part)
}

/// Levenshtein's distance, for short names.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut next = vec![at.saturating_add(1)];
        for ((other, above), corner) in two.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            let changed = corner.saturating_add(usize::from(letter != *other));
            next.push(
                changed
                    .min(left.saturating_add(1))
                    .min(above.saturating_add(1)),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portcullis_core::policy::{Policy, PolicyError};

    use super::*;

    const PARSER: &str = include_str!("../../../core/src/policy/text.rs");

    /// A policy in which the object at `place` also has the member `name`.
    fn with_member(place: &str, name: &str) -> String {
        let member = format!(r#""{name}": [{{}}]"#);
        let at = |own: &str| {
            if own == place {
                format!("{member}, ")
            } else {
                String::new()
            }
        };
        let cors = format!(r#"{{{}"origins": "https://a.example"}}"#, at("cors"));
        let route_cors = format!(
            r#"{{{}"origins": "https://a.example"}}"#,
            at("routes[0].cors")
        );
        // A repeated member is no answer: the text has each member at most once.
        let optional = |own: &str, text: String| {
            if place.is_empty() && name == own {
                String::new()
            } else {
                text
            }
        };
        format!(
            r#"{{{}{}{}{}{}{}{} "strip_token": true}}"#,
            at(""),
            optional(
                "issuers",
                format!(
                    r#""issuers": [{{{}"issuer": "https://us", "audience": "a", "algorithms": "EdDSA",
                   "keys": "document", "profile": "at+jwt"}}],"#,
                    at("issuers[0]")
                )
            ),
            optional(
                "routes",
                format!(
                    r#""routes": [{{{}"path": "/", "access": "open", "cors": {route_cors}}}],"#,
                    at("routes[0]")
                )
            ),
            optional("cors", format!(r#""cors": {cors},"#)),
            optional(
                "headers",
                format!(r#""headers": {{{}"forwarded": true}},"#, at("headers"))
            ),
            optional(
                "revocations",
                format!(r#""revocations": {{{}"hard": 30}},"#, at("revocations"))
            ),
            optional("keys", format!(r#""keys": {{{}"hard": 600}},"#, at("keys"))),
        )
    }

    /// Whether the parser of the edge knows the member. A member that stands twice is not JSON, and
    /// one of a wrong type is an error of its own, so every other result means that it is known.
    fn is_known(place: &str, name: &str) -> bool {
        let own = super::super::node::join(place, name);
        let error = Policy::parse(&with_member(place, name), None).err();
        error != Some(PolicyError::Malformed(own, "known"))
    }

    #[test]
    fn the_schema_and_the_parser_of_the_edge_have_the_same_members() {
        let parser = PARSER.split("#[cfg(test)]").next().unwrap_or_default();
        let words: BTreeSet<&str> = parser
            .split('"')
            .filter(|word| {
                let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
                !word.is_empty() && word.bytes().all(is_letter)
            })
            .collect();
        for place in [
            "",
            "issuers[0]",
            "routes[0]",
            "cors",
            "routes[0].cors",
            "headers",
            "revocations",
            "keys",
        ] {
            let described: BTreeSet<String> = members_at(place).into_iter().collect();
            assert!(!described.is_empty(), "{place}");
            let names: Vec<&str> = described.iter().map(String::as_str).collect();
            for name in words.iter().copied().chain(names) {
                assert_eq!(
                    is_known(place, name),
                    described.contains(name),
                    "{place:?}: {name}"
                );
            }
        }
        assert!(!is_known("", "no_such_member") && !is_known("routes[0]", "no_such_member"));
    }

    #[test]
    fn the_schema_knows_the_names_of_a_place_and_nothing_elsewhere() {
        assert!(members_at("routes[7].cors").contains(&"origins".to_owned()));
        assert_eq!(members_at("routes[7].none"), Vec::<String>::new());
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["scopes", "path", "access", "exact"];
        assert_eq!(nearest("scope", names), Some("scopes"));
        assert_eq!(nearest("acess", names), Some("access"));
        assert_eq!(nearest("timeout_of_session", names), None);
        assert_eq!((distance("", "ab"), distance("ab", "ba")), (2, 2));
    }
}
