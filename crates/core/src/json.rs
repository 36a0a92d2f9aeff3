//! Strict JSON: one value, without duplicate members at any depth.
//!
//! [RFC 8259 §4] leaves the meaning of a duplicate member open. Two parsers that differ would let
//! an attacker bypass the check ([RFC 7515 §4] and [RFC 7519 §4] permit rejection). This parser is
//! our own because it is part of the token rules, and because a general one takes a fifth of the
//! Worker's size limit.
//!
//! [RFC 8259 §4]: https://www.rfc-editor.org/rfc/rfc8259#section-4
//! [RFC 7515 §4]: https://www.rfc-editor.org/rfc/rfc7515#section-4
//! [RFC 7519 §4]: https://www.rfc-editor.org/rfc/rfc7519#section-4

mod read;
mod write;

use thiserror::Error;

/// The maximum nesting depth of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// A JSON value without duplicate members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written as a whole one from 0 up to 2^64 - 1.
    Whole(u64),
    /// Any other number, as written: negative, with a fraction or an exponent, or larger.
    Decimal(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Object),
}

/// An object, with its members sorted by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Object(Vec<(String, Json)>);

/// The bytes are not one strict JSON value. Never quotes them.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not one JSON value in UTF-8 with each member at most once")]
pub struct JsonError;

impl Json {
    /// Parses the one value in `bytes`, with at most [`MAX_DEPTH`] levels of nesting.
    ///
    /// # Errors
    ///
    /// [`JsonError`] for a syntax error, invalid UTF-8, a lone surrogate, a number beyond an `f64`,
    /// a duplicate member, or anything but whitespace after the value.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        read::value(bytes)
    }

    /// Parses one object.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`], and for a value that is not an object.
    pub fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
        Self::parse(bytes)?.into_object().ok_or(JsonError)
    }

    /// `text` as a JSON string, quotes included ([RFC 8259 §7]).
    ///
    /// [RFC 8259 §7]: https://www.rfc-editor.org/rfc/rfc8259#section-7
    pub fn quote(text: &str) -> String {
        let mut quoted = String::with_capacity(text.len().saturating_add(2));
        write::quote(text, &mut quoted);
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

    /// The boolean, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
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

    /// The number, if its value is whole and fits: `1e3` and `1000.0` as well as `1000`.
    pub fn as_whole_value(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Decimal(text) => whole_value(text),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::Array(_) | Self::Object(_) => None,
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

    /// The text, if it is a string.
    pub fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The elements, if it is an array.
    pub fn into_array(self) -> Option<Vec<Self>> {
        if let Self::Array(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// The members, if it is an object.
    pub fn into_object(self) -> Option<Object> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// The member `name`, if it is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }
}

/// The value of a number in its written form, if it is whole and fits.
fn whole_value(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let end = i64::try_from(before.len()).ok()?.checked_add(exponent)?;
    let mut value = 0_u64;
    let mut place = 0_i64;
    for byte in before.bytes().chain(after.bytes()) {
        // A sign is no digit.
        let digit = byte.checked_sub(b'0')?;
        if place < end {
            value = value.checked_mul(10)?.checked_add(digit.into())?;
        } else if digit != 0 {
            return None;
        }
        place = place.checked_add(1)?;
    }
    while value != 0 && place < end {
        value = value.checked_mul(10)?;
        place = place.checked_add(1)?;
    }
    Some(value)
}

impl Object {
    /// The member `name`.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Whether the object has a member `name`.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Inserts a member and replaces one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Json>) {
        let member = (name.into(), value.into());
        match self.place(&member.0) {
            Ok(place) => {
                if let Some(held) = self.0.get_mut(place) {
                    *held = member;
                }
            }
            Err(place) => self.0.insert(place, member),
        }
    }

    /// Removes and returns the member `name`.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place).1)
    }

    /// The number of members.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the object is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, by name in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// An object of the parsed members; `None` if a name occurs twice.
    fn from_members(mut members: Vec<(String, Json)>) -> Option<Self> {
        sort_by_name(&mut members);
        let twice = members
            .windows(2)
            .any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        (!twice).then_some(Self(members))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(name))
    }
}

/// Sorts by heapsort: it is quick for hostile input too, and the Worker is 4 KB smaller than with the
/// sort of the standard library.
fn sort_by_name(members: &mut [(String, Json)]) {
    let count = members.len();
    for root in (0..count / 2).rev() {
        sift_down(members, root);
    }
    for last in (1..count).rev() {
        members.swap(0, last);
        if let Some(heap) = members.get_mut(..last) {
            sift_down(heap, 0);
        }
    }
}

/// Moves the member at `place` down until no child has a greater name.
fn sift_down(heap: &mut [(String, Json)], mut place: usize) {
    // Behind the end there is no name, and `None` is less than every name.
    let is_less = |heap: &[(String, Json)], one: usize, other: usize| {
        heap.get(one).map(|(name, _)| name) < heap.get(other).map(|(name, _)| name)
    };
    loop {
        let left = place.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let child = if is_less(heap, left, right) {
            right
        } else {
            left
        };
        if !is_less(heap, place, child) {
            return;
        }
        heap.swap(place, child);
        place = child;
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The last of several members with one name wins.
impl<N: Into<String>, V: Into<Json>> FromIterator<(N, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Self {
        let mut object = Self::default();
        for (name, value) in members {
            object.insert(name, value);
        }
        object
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<Self>> for Json {
    fn from(value: Vec<Self>) -> Self {
        Self::Array(value)
    }
}

impl From<Object> for Json {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

#[cfg(test)]
mod tests;
