//! Rows in the wire format of DynamoDB: `{"name": {"S": "text"}, ...}`.
//!
//! An [`Item`] keeps the wire format and is parsed attribute by attribute, so unused attributes
//! cost nothing and cannot make the row invalid.

use core::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_core::json::{Json, Object};
use thiserror::Error;

use crate::dynamodb::table::{Key, PARTITION_KEY, SORT_KEY};

/// The value of one attribute, of the types that our rows use.
#[derive(Clone, Eq, PartialEq)]
pub struct Attribute(Json);

/// A row, or the key of a row.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Item(Object);

/// An attribute violates the schema of its row. The error contains its name, never its value.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ItemError {
    /// The attribute is missing.
    #[error("the attribute {0} is missing")]
    Missing(&'static str),
    /// The attribute has another type, or its value is invalid for that type.
    #[error("the attribute {0} has the wrong type")]
    Type(&'static str),
}

impl Attribute {
    /// A string (`S`).
    pub fn text(text: impl Into<String>) -> Self {
        Self::tagged("S", Json::Text(text.into()))
    }

    /// A number (`N`), which is text on the wire.
    pub fn number(number: u64) -> Self {
        Self::tagged("N", Json::Text(number.to_string()))
    }

    /// A number (`N`) that may be negative.
    pub fn signed(number: i64) -> Self {
        Self::tagged("N", Json::Text(number.to_string()))
    }

    /// Bytes (`B`).
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::tagged("B", Json::Text(BASE64_STANDARD.encode(bytes)))
    }

    /// A boolean (`BOOL`).
    pub fn flag(flag: bool) -> Self {
        Self::tagged("BOOL", Json::Bool(flag))
    }

    /// A list (`L`).
    pub fn list(members: impl IntoIterator<Item = Self>) -> Self {
        let members = members.into_iter().map(|member| member.0).collect();
        Self::tagged("L", Json::Array(members))
    }

    /// A map (`M`).
    pub fn map(members: Item) -> Self {
        Self::tagged("M", Json::Object(members.0))
    }

    /// The string, if the value is one.
    pub fn as_text(&self) -> Option<&str> {
        text_of(&self.0, "S")
    }

    /// The number, if it is an integer from 0 to 2^64 - 1.
    pub fn as_number(&self) -> Option<u64> {
        text_of(&self.0, "N")?.parse().ok()
    }

    /// The number, if it is an integer from -2^63 to 2^63 - 1.
    pub fn as_signed(&self) -> Option<i64> {
        text_of(&self.0, "N")?.parse().ok()
    }

    /// The bytes, if the value is binary.
    pub fn as_bytes(&self) -> Option<Vec<u8>> {
        bytes_of(&self.0)
    }

    /// The boolean, if the value is one.
    pub fn as_flag(&self) -> Option<bool> {
        untagged(&self.0, "BOOL")?.as_bool()
    }

    /// The members, if the value is a list.
    pub fn as_list(&self) -> Option<Vec<Self>> {
        list_of(&self.0)
    }

    /// The members, if the value is a map.
    pub fn as_map(&self) -> Option<Item> {
        map_of(&self.0)
    }

    pub(crate) fn into_wire(self) -> Json {
        self.0
    }

    fn tagged(tag: &str, value: Json) -> Self {
        Self(Json::Object(Object::from_iter([(tag, value)])))
    }
}

impl Key {
    /// The key as a row without any other attribute.
    pub fn to_item(&self) -> Item {
        Item::new()
            .with_text(PARTITION_KEY, self.partition())
            .with_text(SORT_KEY, self.sort())
    }
}

impl Item {
    /// An empty row.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row with `attribute` under `name`.
    #[must_use]
    pub fn with(mut self, name: &str, attribute: Attribute) -> Self {
        self.0.insert(name, attribute.0);
        self
    }

    /// The row with a string.
    #[must_use]
    pub fn with_text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, Attribute::text(text))
    }

    /// The row with a number.
    #[must_use]
    pub fn with_number(self, name: &str, number: u64) -> Self {
        self.with(name, Attribute::number(number))
    }

    /// A row of the same size without information: each text becomes a run of zeros.
    #[must_use]
    pub fn blanked(self) -> Self {
        let blank = |attribute: Json| match Attribute(attribute) {
            text if text.as_text().is_some() => {
                let length = text.as_text().map_or(0, str::len);
                Attribute::text("0".repeat(length)).0
            }
            other => other.0,
        };
        Self(
            self.0
                .into_iter()
                .map(|(name, value)| (name, blank(value)))
                .collect(),
        )
    }

    /// The attribute without conversion, if it exists.
    pub fn attribute(&self, name: &str) -> Option<Attribute> {
        self.0.get(name).cloned().map(Attribute)
    }

    /// Whether an attribute of that name exists, of any type.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of its attributes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }

    /// A string.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not a string.
    pub fn text(&self, name: &'static str) -> Result<&str, ItemError> {
        text_of(self.wire(name)?, "S").ok_or(ItemError::Type(name))
    }

    /// A string, if the attribute exists.
    ///
    /// # Errors
    ///
    /// [`ItemError::Type`] if the attribute has another type.
    pub fn optional_text(&self, name: &'static str) -> Result<Option<&str>, ItemError> {
        optional(self.text(name))
    }

    /// An integer from 0 to 2^64 - 1.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not such a number.
    pub fn number(&self, name: &'static str) -> Result<u64, ItemError> {
        text_of(self.wire(name)?, "N")
            .and_then(|text| text.parse().ok())
            .ok_or(ItemError::Type(name))
    }

    /// An integer from 0 to 2^64 - 1, if the attribute exists.
    ///
    /// # Errors
    ///
    /// [`ItemError::Type`] if the attribute has another type.
    pub fn optional_number(&self, name: &'static str) -> Result<Option<u64>, ItemError> {
        optional(self.number(name))
    }

    /// An integer from -2^63 to 2^63 - 1.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not such a number.
    pub fn signed(&self, name: &'static str) -> Result<i64, ItemError> {
        text_of(self.wire(name)?, "N")
            .and_then(|text| text.parse().ok())
            .ok_or(ItemError::Type(name))
    }

    /// Bytes.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not binary.
    pub fn bytes(&self, name: &'static str) -> Result<Vec<u8>, ItemError> {
        bytes_of(self.wire(name)?).ok_or(ItemError::Type(name))
    }

    /// A boolean.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not a boolean.
    pub fn flag(&self, name: &'static str) -> Result<bool, ItemError> {
        untagged(self.wire(name)?, "BOOL")
            .and_then(Json::as_bool)
            .ok_or(ItemError::Type(name))
    }

    /// The members of a list.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not a list.
    pub fn list(&self, name: &'static str) -> Result<Vec<Attribute>, ItemError> {
        list_of(self.wire(name)?).ok_or(ItemError::Type(name))
    }

    /// The members of a map.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if it is missing or not a map.
    pub fn map(&self, name: &'static str) -> Result<Self, ItemError> {
        map_of(self.wire(name)?).ok_or(ItemError::Type(name))
    }

    /// The row together with the attributes of its key.
    pub(crate) fn under(mut self, key: &Key) -> Self {
        for (name, value) in key.to_item().0 {
            self.0.insert(name, value);
        }
        self
    }

    pub(crate) const fn from_wire(wire: Object) -> Self {
        Self(wire)
    }

    pub(crate) fn into_wire(self) -> Json {
        Json::Object(self.0)
    }

    fn wire(&self, name: &'static str) -> Result<&Json, ItemError> {
        self.0.get(name).ok_or(ItemError::Missing(name))
    }
}

/// Turns a missing attribute into `None`; an attribute of another type stays an error.
fn optional<T>(found: Result<T, ItemError>) -> Result<Option<T>, ItemError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(ItemError::Missing(_)) => Ok(None),
        Err(error @ ItemError::Type(_)) => Err(error),
    }
}

/// The value under `tag`, if that is the only member: `{"S": "a", "N": "1"}` has no valid value.
fn untagged<'a>(wire: &'a Json, tag: &str) -> Option<&'a Json> {
    let object = wire.as_object()?;
    if object.len() == 1 {
        object.get(tag)
    } else {
        None
    }
}

fn text_of<'a>(wire: &'a Json, tag: &str) -> Option<&'a str> {
    untagged(wire, tag)?.as_text()
}

fn bytes_of(wire: &Json) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text_of(wire, "B")?).ok()
}

fn list_of(wire: &Json) -> Option<Vec<Attribute>> {
    let members = untagged(wire, "L")?.as_array()?;
    Some(members.iter().cloned().map(Attribute).collect())
}

fn map_of(wire: &Json) -> Option<Item> {
    untagged(wire, "M")?.as_object().cloned().map(Item)
}

// SECURITY: rows hold addresses, password hashes and token hashes.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({} attributes)", self.0.len())
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attribute(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn parsed(wire: &Json) -> Value {
        serde_json::from_str(&wire.to_string()).unwrap()
    }

    fn row(wire: Value) -> Item {
        Item::from_wire(Json::parse_object(wire.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_row_is_written_in_the_dynamodb_wire_format() {
        let item = Item::new()
            .with_text("PK", "USER#ada@example.com")
            .with_number("version", 7)
            .with("offset", Attribute::signed(-7))
            .with("hash", Attribute::bytes(&[0, 255]))
            .with("verified", Attribute::flag(true))
            .with(
                "last",
                Attribute::list([Attribute::number(1), Attribute::number(2)]),
            )
            .with(
                "device",
                Attribute::map(Item::new().with_text("name", "phone")),
            );
        assert_eq!(
            parsed(&item.into_wire()),
            json!({
                "PK": {"S": "USER#ada@example.com"},
                "version": {"N": "7"},
                "offset": {"N": "-7"},
                "hash": {"B": "AP8="},
                "verified": {"BOOL": true},
                "last": {"L": [{"N": "1"}, {"N": "2"}]},
                "device": {"M": {"name": {"S": "phone"}}},
            })
        );
    }

    #[test]
    fn each_attribute_is_read_only_as_its_own_type() {
        let item = row(json!({
            "s": {"S": "1"}, "n": {"N": "1"}, "b": {"B": "AA=="}, "bool": {"BOOL": true},
            "l": {"L": []}, "m": {"M": {}}, "null": {"NULL": true}, "ss": {"SS": ["a"]},
            "two": {"S": "a", "N": "1"}, "bare": "text", "empty": {},
        }));
        assert_eq!(item.text("s"), Ok("1"));
        assert_eq!(item.number("n"), Ok(1));
        assert_eq!(item.signed("n"), Ok(1));
        assert_eq!(item.bytes("b"), Ok(vec![0]));
        assert_eq!(item.flag("bool"), Ok(true));
        assert_eq!(item.list("l").unwrap(), []);
        assert_eq!(item.map("m"), Ok(Item::new()));
        for other in [
            "n", "b", "bool", "l", "m", "null", "ss", "two", "bare", "empty",
        ] {
            assert_eq!(item.text(other), Err(ItemError::Type(other)));
        }
        assert_eq!(item.number("s"), Err(ItemError::Type("s")));
        assert_eq!(item.number("gone"), Err(ItemError::Missing("gone")));
        assert_eq!(item.optional_number("gone"), Ok(None));
        assert_eq!(item.optional_text("n"), Err(ItemError::Type("n")));
    }

    #[test]
    fn numbers_outside_their_range_are_rejected() {
        let item = |text: &str| row(json!({"n": {"N": text}}));
        assert_eq!(item("18446744073709551615").number("n"), Ok(u64::MAX));
        assert_eq!(item("-9223372036854775808").signed("n"), Ok(i64::MIN));
        for text in ["18446744073709551616", "-1", "1.5", "1e3", "", " 1"] {
            assert_eq!(item(text).number("n"), Err(ItemError::Type("n")), "{text}");
        }
        let bare = row(json!({"n": {"N": 1}}));
        assert_eq!(bare.number("n"), Err(ItemError::Type("n")));
    }

    #[test]
    fn bytes_must_be_canonical_base64() {
        for text in ["AP8", "AP9=", "A P8=", "-_8="] {
            let item = row(json!({"b": {"B": text}}));
            assert_eq!(item.bytes("b"), Err(ItemError::Type("b")), "{text}");
        }
    }

    #[test]
    fn debug_output_of_a_row_contains_no_value() {
        let item = Item::new().with_text("password", "$argon2id$");
        let attribute = item.attribute("password").unwrap();
        assert_eq!(
            format!("{item:?} {attribute:?}"),
            "Item(1 attributes) Attribute(..)"
        );
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Attribute::text),
            any::<u64>().prop_map(Attribute::number),
            any::<i64>().prop_map(Attribute::signed),
            any::<Vec<u8>>().prop_map(|bytes| Attribute::bytes(&bytes)),
            any::<bool>().prop_map(Attribute::flag),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Attribute::list),
                prop::collection::vec(("[a-z]{1,8}", inner), 0..4).prop_map(|members| {
                    let members = members.into_iter();
                    Attribute::map(
                        members.fold(Item::new(), |item, (name, member)| item.with(&name, member)),
                    )
                }),
            ]
        })
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let tag = prop_oneof!["S|N|B|BOOL|L|M|NULL|SS", "[a-z]{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((tag.clone(), inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_written_row_is_read_back_unchanged(
            text in any::<String>(), number in any::<u64>(), signed in any::<i64>(),
            bytes in any::<Vec<u8>>(), flag in any::<bool>(), member in any_attribute(),
        ) {
            let wire = Item::new()
                .with_text("text", text.clone())
                .with_number("number", number)
                .with("signed", Attribute::signed(signed))
                .with("bytes", Attribute::bytes(&bytes))
                .with("flag", Attribute::flag(flag))
                .with("list", Attribute::list([member.clone()]))
                .with("map", Attribute::map(Item::new().with("member", member.clone())))
                .into_wire();
            let item = row(parsed(&wire));
            prop_assert_eq!(item.text("text"), Ok(text.as_str()));
            prop_assert_eq!(item.number("number"), Ok(number));
            prop_assert_eq!(item.signed("signed"), Ok(signed));
            prop_assert_eq!(item.bytes("bytes"), Ok(bytes));
            prop_assert_eq!(item.flag("flag"), Ok(flag));
            prop_assert_eq!(item.list("list").unwrap(), vec![member.clone()]);
            prop_assert_eq!(item.map("map").unwrap().attribute("member"), Some(member));
        }

        #[test]
        fn any_attribute_is_read_as_at_most_one_type(wire in any_json()) {
            let item = row(json!({ "a": wire }));
            let read = [
                item.text("a").is_ok(),
                item.signed("a").is_ok() || item.number("a").is_ok(),
                item.bytes("a").is_ok(),
                item.flag("a").is_ok(),
                item.list("a").is_ok(),
                item.map("a").is_ok(),
            ];
            prop_assert!(read.into_iter().filter(|read| *read).count() <= 1);
        }
    }
}
