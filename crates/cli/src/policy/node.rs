//! A policy text as a tree in which each value knows its place in the text.

use core::ops::Range;

use portcullis_core::json::Json;

/// A value, with the bytes of the text that hold it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: NodeValue,
}

/// The values that JSON has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Null,
    Bool(bool),
    /// A number, as JSON writes it.
    Number(String),
    Text(String),
    Array(Vec<Node>),
    /// In the order of the text.
    Object(Vec<Member>),
}

/// A member of an object, with the bytes of its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// A value that is not in the text.
    pub(crate) const fn new(value: NodeValue) -> Self {
        Self { span: 0..0, value }
    }

    /// An object of strings that is not in the text.
    pub(crate) fn of_texts(members: &[(&str, &str)]) -> Self {
        let member = |(name, text): &(&str, &str)| Member {
            name: (*name).to_owned(),
            span: 0..0,
            value: Self::new(NodeValue::Text((*text).to_owned())),
        };
        Self::new(NodeValue::Object(members.iter().map(member).collect()))
    }

    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            NodeValue::Object(members) => members,
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::Text(_)
            | NodeValue::Array(_) => &[],
        }
    }

    pub(crate) fn elements(&self) -> &[Self] {
        match &self.value {
            NodeValue::Array(elements) => elements,
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::Text(_)
            | NodeValue::Object(_) => &[],
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let member = self.members().iter().find(|member| member.name == name);
        member.map(|member| &member.value)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let NodeValue::Text(text) = &self.value {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.value == NodeValue::Bool(true)
    }

    /// The strings of a member that is a string or an array of strings.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        match self.get(name) {
            None => Vec::new(),
            Some(value) => match value.as_text() {
                Some(text) => vec![text],
                None => value.elements().iter().filter_map(Self::as_text).collect(),
            },
        }
    }

    /// The bytes of the value at `place`, such as `routes[3].path`, with the name of its member; of
    /// the nearest value around it, if there is none.
    pub(crate) fn locate(&self, place: &str) -> Range<usize> {
        let mut best = (0, self.span.start..self.span.start);
        self.locate_under("", place, &mut best);
        best.1
    }

    fn locate_under(&self, path: &str, place: &str, best: &mut (usize, Range<usize>)) {
        let mut visit = |own: String, span: &Range<usize>, value: &Self| {
            let rest = place.strip_prefix(own.as_str());
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])) {
                if own.len() > best.0 {
                    *best = (own.len(), span.clone());
                }
                value.locate_under(&own, place, best);
            }
        };
        for member in self.members() {
            visit(join(path, &member.name), &member.span, &member.value);
        }
        for (at, element) in self.elements().iter().enumerate() {
            visit(format!("{path}[{at}]"), &element.span, element);
        }
    }

    /// Removes the member at `place`; `false` if there is none.
    pub(crate) fn remove(&mut self, place: &str) -> bool {
        self.remove_under("", place)
    }

    fn remove_under(&mut self, path: &str, place: &str) -> bool {
        match &mut self.value {
            NodeValue::Object(members) => {
                let before = members.len();
                members.retain(|member| join(path, &member.name) != place);
                members.len() < before
                    || members
                        .iter_mut()
                        .any(|member| member.value.remove_under(&join(path, &member.name), place))
            }
            NodeValue::Array(elements) => elements
                .iter_mut()
                .enumerate()
                .any(|(at, element)| element.remove_under(&format!("{path}[{at}]"), place)),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => {
                false
            }
        }
    }

    /// Sets the member `name` of an object.
    pub(crate) fn set(&mut self, name: &str, value: Self) {
        let NodeValue::Object(members) = &mut self.value else {
            return;
        };
        match members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => members.push(Member {
                name: name.to_owned(),
                span: 0..0,
                value,
            }),
        }
    }

    /// The elements of the array in the member `name`.
    pub(crate) fn elements_mut(&mut self, name: &str) -> Option<&mut Vec<Self>> {
        let NodeValue::Object(members) = &mut self.value else {
            return None;
        };
        let member = members.iter_mut().find(|member| member.name == name)?;
        match &mut member.value.value {
            NodeValue::Array(elements) => Some(elements),
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::Text(_)
            | NodeValue::Object(_) => None,
        }
    }

    /// The value as JSON without blanks.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    fn write(&self, json: &mut String) {
        match &self.value {
            NodeValue::Null => json.push_str("null"),
            NodeValue::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            NodeValue::Number(number) => json.push_str(number),
            NodeValue::Text(text) => json.push_str(&Json::quote(text)),
            NodeValue::Array(elements) => {
                json.push('[');
                for (at, element) in elements.iter().enumerate() {
                    json.push_str(if at == 0 { "" } else { "," });
                    element.write(json);
                }
                json.push(']');
            }
            NodeValue::Object(members) => {
                json.push('{');
                for (at, member) in members.iter().enumerate() {
                    json.push_str(if at == 0 { "" } else { "," });
                    json.push_str(&Json::quote(&member.name));
                    json.push(':');
                    member.value.write(json);
                }
                json.push('}');
            }
        }
    }
}

/// The place of the member `name` of the object at `path`, as the parser of the edge writes it.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
