//! The parser: recursive descent over text that is known to be UTF-8.

use super::{Json, JsonError, MAX_DEPTH, Object};

/// The maximum length of a number with fraction or exponent; an `f64` distinguishes no more digits.
const MAX_DECIMAL_BYTES: usize = 40;

pub(super) fn value(bytes: &[u8]) -> Result<Json, JsonError> {
    let text = core::str::from_utf8(bytes).map_err(|_| JsonError)?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(MAX_DEPTH)?;
    reader.skip_blanks();
    if reader.at == text.len() {
        Ok(value)
    } else {
        Err(JsonError)
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek().ok_or(JsonError)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn since(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip_blanks();
        match self.peek().ok_or(JsonError)? {
            b'{' => self.object(depth.checked_sub(1).ok_or(JsonError)?),
            b'[' => self.array(depth.checked_sub(1).ok_or(JsonError)?),
            b'"' => Ok(Json::Text(self.string()?)),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(JsonError);
        }
        self.at = self.at.saturating_add(word.len());
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.next()?;
        let mut elements = Vec::new();
        self.skip_blanks();
        if self.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            self.skip_blanks();
            match self.next()? {
                b',' => {}
                b']' => return Ok(Json::Array(elements)),
                _ => return Err(JsonError),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.next()?;
        let mut members = Vec::new();
        self.skip_blanks();
        if self.eat(b'}') {
            return Ok(Json::Object(Object::default()));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.skip_blanks();
            if !self.eat(b':') {
                return Err(JsonError);
            }
            members.push((name, self.value(depth)?));
            self.skip_blanks();
            match self.next()? {
                b',' => {}
                b'}' => {
                    return Object::from_members(members)
                        .map(Json::Object)
                        .ok_or(JsonError);
                }
                _ => return Err(JsonError),
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        if !self.eat(b'"') {
            return Err(JsonError);
        }
        let mut string = String::new();
        let mut start = self.at;
        loop {
            self.skip_plain();
            match self.next()? {
                b'"' => {
                    let end = self.at.saturating_sub(1);
                    string.push_str(self.text.get(start..end).unwrap_or_default());
                    return Ok(string);
                }
                b'\\' => {
                    let end = self.at.saturating_sub(1);
                    string.push_str(self.text.get(start..end).unwrap_or_default());
                    string.push(self.escape()?);
                    start = self.at;
                }
                // RFC 8259 §7: control characters are escaped.
                0..=0x1f => return Err(JsonError),
                _ => {}
            }
        }
    }

    /// Skips to the next special byte of a string: a pack of the feed has half a megabyte without
    /// any.
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let length = rest.iter().position(is_special).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                // A high surrogate must be followed by a low one (RFC 8259 §7).
                let second = match first {
                    0xd800..=0xdbff if self.eat(b'\\') && self.eat(b'u') => Some(self.unit()?),
                    _ => None,
                };
                let mut units = char::decode_utf16([first].into_iter().chain(second));
                match (units.next(), units.next()) {
                    (Some(Ok(letter)), None) => letter,
                    (_, _) => return Err(JsonError),
                }
            }
            _ => return Err(JsonError),
        })
    }

    fn unit(&mut self) -> Result<u16, JsonError> {
        let mut unit = 0_u16;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16).ok_or(JsonError)?;
            unit = unit << 4 | u16::try_from(digit).map_err(|_| JsonError)?;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        let mut whole = !self.eat(b'-');
        // RFC 8259 §6: no leading zeros.
        if !self.eat(b'0') && self.digits() == 0 {
            return Err(JsonError);
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(JsonError);
        }
        if self.eat(b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(JsonError);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at = self.at.saturating_add(1);
            let _ = self.eat(b'+') || self.eat(b'-');
            let exponent = self.at;
            self.digits();
            // An exponent beyond 300 may overflow an `f64`, here or in the next parser.
            if self
                .since(exponent)
                .parse::<u16>()
                .map_or(true, |exponent| exponent > 300)
            {
                return Err(JsonError);
            }
        }
        let text = self.since(start);
        match text.parse() {
            Ok(number) if whole => Ok(Json::Whole(number)),
            _ if text.len() <= MAX_DECIMAL_BYTES => Ok(Json::Decimal(text.to_owned())),
            _ => Err(JsonError),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at = self.at.saturating_add(1);
        }
        self.at.saturating_sub(start)
    }
}
