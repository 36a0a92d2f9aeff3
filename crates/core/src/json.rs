//! Strict JSON: one value, no member twice at any depth.
//!
//! [RFC 8259 §4] leaves open what a repeated member means, and two parsers that answer differently
//! are a way round the one that judges ([RFC 7515 §4] and [RFC 7519 §4] let us refuse).
//!
//! [RFC 8259 §4]: https://www.rfc-editor.org/rfc/rfc8259#section-4
//! [RFC 7515 §4]: https://www.rfc-editor.org/rfc/rfc7515#section-4
//! [RFC 7519 §4]: https://www.rfc-editor.org/rfc/rfc7519#section-4

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use thiserror::Error as ThisError;

/// A JSON value whose objects hold each member once.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written as a whole one from 0 up to 2^64 - 1.
    Whole(u64),
    /// Any other number: negative, with a fraction or an exponent, or larger.
    Other,
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Object),
}

/// An object by member name.
pub type Object = BTreeMap<String, Json>;

/// The bytes are not one strict JSON value. Never says what they hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ThisError)]
#[error("not one JSON value in UTF-8 with each member at most once")]
pub struct JsonError;

impl Json {
    /// Reads the one value that `bytes` hold; 127 levels of nesting at most.
    ///
    /// # Errors
    ///
    /// [`JsonError`] for a syntax error, invalid UTF-8, a number beyond an `f64`, a repeated
    /// member, or anything but blanks behind the value.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        serde_json::from_slice(bytes).map_err(|_| JsonError)
    }

    /// Reads one object.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`], and for a value that is no object.
    pub fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
        match Self::parse(bytes)? {
            Self::Object(members) => Ok(members),
            Self::Null
            | Self::Bool(_)
            | Self::Whole(_)
            | Self::Other
            | Self::Text(_)
            | Self::Array(_) => Err(JsonError),
        }
    }

    /// `text` as a JSON string, quotes included ([RFC 8259 §7]).
    ///
    /// [RFC 8259 §7]: https://www.rfc-editor.org/rfc/rfc8259#section-7
    pub fn quote(text: &str) -> String {
        let mut quoted = String::with_capacity(text.len().saturating_add(2));
        quoted.push('"');
        for letter in text.chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\0'..='\x1f' => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
                _ => quoted.push(letter),
            }
        }
        quoted.push('"');
        quoted
    }

    /// The text, if it is a string.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The number, if it is written as a whole one and fits.
    pub const fn as_whole(&self) -> Option<u64> {
        if let Self::Whole(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// The members, if it is an object.
    pub const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Object::new();
        while let Some(name) = access.next_key::<String>()? {
            match members.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a member stands twice")),
                Entry::Vacant(place) => {
                    place.insert(access.next_value()?);
                }
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_may_stand_once_at_any_depth() {
        assert!(Json::parse(br#"{"a":{"b":1},"c":{"b":2}}"#).is_ok());
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[[{"a":[{"b":1,"b":1}]}]]"#,
        ] {
            assert_eq!(Json::parse(twice.as_bytes()), Err(JsonError), "{twice}");
        }
    }

    #[test]
    fn only_one_whole_value_in_utf_8_is_read() {
        assert_eq!(Json::parse(b" 1 "), Ok(Json::Whole(1)));
        let bad: [&[u8]; 9] = [
            b"",
            b"1 2",
            b"{} x",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"1e999",
            b"\xef\xbb\xbf1",
        ];
        for bytes in bad {
            assert_eq!(Json::parse(bytes), Err(JsonError), "{bytes:?}");
        }
        let deep = [vec![b'['; 200], vec![b']'; 200]].concat();
        assert_eq!(Json::parse(&deep), Err(JsonError));
    }

    #[test]
    fn a_number_is_whole_only_if_written_so() {
        assert_eq!(
            Json::parse(b"18446744073709551615"),
            Ok(Json::Whole(u64::MAX))
        );
        for other in ["-1", "1.0", "1e3", "18446744073709551616", "-0"] {
            assert_eq!(Json::parse(other.as_bytes()), Ok(Json::Other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_text_reads_back(text: String) {
            prop_assert_eq!(Json::parse(Json::quote(&text).as_bytes()), Ok(Json::Text(text)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Json::parse(&bytes);
        }
    }
}
