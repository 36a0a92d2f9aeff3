//! Parses an object of the policy text member by member, so that unknown members are found.

use core::time::Duration;

use super::PolicyError;
use crate::json::{Json, Object};

/// The unread members of one object, and its place in the policy.
pub(super) struct Members {
    place: String,
    members: Object,
}

impl Members {
    /// Starts with `value` at `place`.
    pub(super) fn of(value: Json, place: &str) -> Result<Self, PolicyError> {
        let members = value
            .into_object()
            .ok_or_else(|| wrong(place, "an object"))?;
        Ok(Self {
            place: place.to_owned(),
            members,
        })
    }

    /// The required array of objects `name`.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Self>, PolicyError> {
        let place = self.path(name);
        let elements = self
            .required(name)?
            .into_array()
            .ok_or_else(|| wrong(&place, "an array"))?;
        let object = |(at, element)| Self::of(element, &format!("{place}[{at}]"));
        elements.into_iter().enumerate().map(object).collect()
    }

    /// The optional object `name`.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, PolicyError> {
        let place = self.path(name);
        self.members
            .remove(name)
            .map(|value| Self::of(value, &place))
            .transpose()
    }

    /// The optional object `name`, or `Some(None)` for `false`.
    pub(super) fn object_or_false(
        &mut self,
        name: &str,
    ) -> Result<Option<Option<Self>>, PolicyError> {
        let place = self.path(name);
        match self.members.remove(name) {
            None => Ok(None),
            Some(Json::Bool(false)) => Ok(Some(None)),
            Some(value) => Self::of(value, &place).map(|object| Some(Some(object))),
        }
    }

    /// The required value `name`.
    pub(super) fn required(&mut self, name: &str) -> Result<Json, PolicyError> {
        self.members
            .remove(name)
            .ok_or_else(|| wrong(&self.path(name), "there"))
    }

    /// The required string `name`.
    pub(super) fn text(&mut self, name: &str) -> Result<String, PolicyError> {
        self.required(name)?
            .into_text()
            .ok_or_else(|| wrong(&self.path(name), "a text"))
    }

    /// The optional string `name`.
    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, PolicyError> {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        let text = value.into_text();
        text.map(Some)
            .ok_or_else(|| wrong(&self.path(name), "a text"))
    }

    /// The optional string `name`, or `Some(None)` for `false`.
    pub(super) fn text_or_false(
        &mut self,
        name: &str,
    ) -> Result<Option<Option<String>>, PolicyError> {
        let place = self.path(name);
        match self.members.remove(name) {
            None => Ok(None),
            Some(Json::Bool(false)) => Ok(Some(None)),
            Some(value) => value
                .into_text()
                .map(|text| Some(Some(text)))
                .ok_or_else(|| wrong(&place, "a text or false")),
        }
    }

    /// The array of strings `name`; a single string counts as an array of one.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, PolicyError> {
        let texts = match self.members.remove(name) {
            None => return Ok(None),
            Some(Json::Text(one)) => Some(vec![one]),
            Some(value) => value
                .into_array()
                .and_then(|elements| elements.into_iter().map(Json::into_text).collect()),
        };
        texts
            .map(Some)
            .ok_or_else(|| wrong(&self.path(name), "a text or an array of texts"))
    }

    /// The strings of the optional member `name`, none by default; each must be `wanted`.
    pub(super) fn texts_that(
        &mut self,
        name: &str,
        is_wanted: fn(&str) -> bool,
        wanted: &'static str,
    ) -> Result<Vec<String>, PolicyError> {
        let Some(texts) = self.texts(name)? else {
            return Ok(Vec::new());
        };
        if !texts.is_empty() && texts.iter().all(|text| is_wanted(text)) {
            Ok(texts)
        } else {
            Err(wrong(&self.path(name), wanted))
        }
    }

    /// The optional number of seconds `name`.
    pub(super) fn seconds(&mut self, name: &str) -> Result<Option<Duration>, PolicyError> {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        let seconds = value
            .as_whole()
            .ok_or_else(|| wrong(&self.path(name), "whole seconds"))?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// The optional boolean `name`.
    pub(super) fn switch_or(&mut self, name: &str, default: bool) -> Result<bool, PolicyError> {
        match self.members.remove(name) {
            None => Ok(default),
            Some(Json::Bool(on)) => Ok(on),
            Some(_) => Err(wrong(&self.path(name), "true or false")),
        }
    }

    /// All remaining members, which must be strings.
    pub(super) fn texts_by_name(self) -> Result<Vec<(String, String)>, PolicyError> {
        let place = self.place;
        let mut texts = Vec::with_capacity(self.members.len());
        for (name, value) in self.members {
            let Some(text) = value.into_text() else {
                return Err(wrong(&format!("{place}.{name}"), "a text"));
            };
            texts.push((name, text));
        }
        Ok(texts)
    }

    /// Rejects all remaining members as unknown.
    pub(super) fn end(self) -> Result<(), PolicyError> {
        match self.members.iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(PolicyError::Malformed(self.path(name), "known")),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }
}

fn wrong(place: &str, wanted: &'static str) -> PolicyError {
    PolicyError::Malformed(place.to_owned(), wanted)
}
