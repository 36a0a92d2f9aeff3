//! Strict JSON: one value, no member twice at any depth.
//!
//! [RFC 8259 §4] leaves open what a repeated member means, and two parsers that answer differently
//! are a way round the one that judges ([RFC 7515 §4] and [RFC 7519 §4] let us refuse). The parser
//! is our own because it is part of the token rules, and because a general one is a fifth of what
//! the Worker may weigh.
//!
//! [RFC 8259 §4]: https://www.rfc-editor.org/rfc/rfc8259#section-4
//! [RFC 7515 §4]: https://www.rfc-editor.org/rfc/rfc7515#section-4
//! [RFC 7519 §4]: https://www.rfc-editor.org/rfc/rfc7519#section-4

mod read;
mod write;

use thiserror::Error;

/// How deep arrays and objects may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// A JSON value. Its objects contain each member once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written as a whole one from 0 up to 2^64 - 1.
    Whole(u64),
    /// Any other number, as it was written: negative, with a fraction or an exponent, or larger.
    Decimal(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Object),
}

/// An object, its members by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Object(Vec<(String, Json)>);

/// The bytes are not one strict JSON value. The error never contains them.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not one JSON value in UTF-8 with each member at most once")]
pub struct JsonError;

impl Json {
    /// Reads the one value that `bytes` hold; [`MAX_DEPTH`] levels of nesting at most.
    ///
    /// # Errors
    ///
    /// [`JsonError`] for a syntax error, invalid UTF-8, a lone surrogate, a number beyond an
    /// `f64`, a repeated member, or anything but blanks behind the value.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        read::value(bytes)
    }

    /// Reads one object.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`], and for a value that is no object.
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

    /// The truth value, if it is one.
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

impl Object {
    /// The member called `name`.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Whether there is a member called `name`.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Puts a member in, in place of one of the same name.
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

    /// Takes the member called `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place).1)
    }

    /// How many members there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, by name in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Members as they were read; `None` if a name stands twice.
    fn from_members(mut members: Vec<(String, Json)>) -> Option<Self> {
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let twice = members
            .windows(2)
            .any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        (!twice).then_some(Self(members))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(name))
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The last of several members of one name stays.
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
