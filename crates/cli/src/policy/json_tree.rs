//! JSON as a tree with places. The parser of the edge has none: they would cost bytes in every
//! Worker.

use core::ops::Range;

use portcullis_core::json::{Json, MAX_DEPTH};
use serde_json::Value;

use super::findings::{Finding, offset_of};
use super::node::{Member, Node, NodeValue};

/// # Errors
///
/// The first syntax error, repeated member or value nested too deep.
pub(crate) fn parse(text: &str) -> Result<Node, Finding> {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let at = offset_of(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        return Err(Finding::syntax(at..at, format!("JSON: {message}")));
    }
    // From here on the syntax is correct: the cursor only finds places.
    let mut cursor = Cursor { text, at: 0 };
    let root = cursor.value(0)?;
    match Json::parse(text.as_bytes()) {
        Ok(_) => Ok(root),
        Err(error) => Err(Finding::syntax(0..0, format!("JSON: {error}"))),
    }
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.text.len());
    }

    /// The next character after blanks.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let blanks = rest
            .len()
            .saturating_sub(rest.trim_start_matches([' ', '\t', '\n', '\r']).len());
        self.skip(blanks);
        self.rest().chars().next()
    }

    fn since(&self, start: usize) -> (&'t str, Range<usize>) {
        let span = start..self.at;
        (self.text.get(span.clone()).unwrap_or_default(), span)
    }

    fn value(&mut self, depth: usize) -> Result<Node, Finding> {
        let first = self.peek();
        let start = self.at;
        if depth > MAX_DEPTH {
            let message = format!("JSON: more than {MAX_DEPTH} levels of nesting");
            return Err(Finding::syntax(start..start, message));
        }
        let value = match first {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => NodeValue::Text(self.string()),
            Some(_) | None => {
                let is_end = |letter: char| {
                    letter.is_ascii_whitespace() || matches!(letter, ',' | ']' | '}')
                };
                let rest = self.rest();
                self.skip(rest.find(is_end).unwrap_or(rest.len()));
                match self.since(start).0 {
                    "null" => NodeValue::Null,
                    "true" => NodeValue::Bool(true),
                    "false" => NodeValue::Bool(false),
                    number => NodeValue::Number(number.to_owned()),
                }
            }
        };
        let span = start..self.at;
        Ok(Node { span, value })
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.skip(1);
        let mut escaped = false;
        for letter in self.rest().chars() {
            self.skip(letter.len_utf8());
            match letter {
                '"' if !escaped => break,
                _ => escaped = letter == '\\' && !escaped,
            }
        }
        serde_json::from_str(self.since(start).0).unwrap_or_default()
    }

    fn array(&mut self, depth: usize) -> Result<NodeValue, Finding> {
        self.skip(1);
        let mut elements = Vec::new();
        loop {
            match self.peek() {
                None => break,
                Some(']') => {
                    self.skip(1);
                    break;
                }
                Some(',') => self.skip(1),
                Some(_) => elements.push(self.value(depth.saturating_add(1))?),
            }
        }
        Ok(NodeValue::Array(elements))
    }

    fn object(&mut self, depth: usize) -> Result<NodeValue, Finding> {
        self.skip(1);
        let mut members: Vec<Member> = Vec::new();
        loop {
            match self.peek() {
                None => break,
                Some('}') => {
                    self.skip(1);
                    break;
                }
                Some('"') => {
                    let start = self.at;
                    let name = self.string();
                    let span = start..self.at;
                    if members.iter().any(|known| known.name == name) {
                        let message = format!("JSON: the member {name:?} is repeated");
                        return Err(Finding::syntax(span, message));
                    }
                    // The colon.
                    let _colon = self.peek();
                    self.skip(1);
                    let value = self.value(depth.saturating_add(1))?;
                    members.push(Member { name, span, value });
                }
                Some(_) => self.skip(1),
            }
        }
        Ok(NodeValue::Object(members))
    }
}
