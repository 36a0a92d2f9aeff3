//! The writer: no whitespace, members sorted by name.

use core::fmt;

use super::{Json, Object};

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write(self, &mut text);
        f.write_str(&text)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        object(self, &mut text);
        f.write_str(&text)
    }
}

fn write(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Whole(number) => out.push_str(&number.to_string()),
        Json::Decimal(text) => out.push_str(text),
        Json::Text(text) => quote(text, out),
        Json::Array(elements) => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write(element, out);
            }
            out.push(']');
        }
        Json::Object(members) => object(members, out),
    }
}

fn object(members: &Object, out: &mut String) {
    out.push('{');
    for (place, (name, value)) in members.iter().enumerate() {
        out.push_str(if place == 0 { "" } else { "," });
        quote(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

pub(super) fn quote(text: &str, out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => {
                out.push_str(if letter < '\x10' { "\\u000" } else { "\\u001" });
                let low = usize::try_from(u32::from(letter) & 0xf).unwrap_or_default();
                out.extend(DIGITS.get(low));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}
