//! The pattern of a route.

use core::fmt;

use crate::path::CanonicalPath;

/// A path, or a path and everything under it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoutePattern {
    pub(super) path: String,
    pub(super) subtree: bool,
}

impl RoutePattern {
    /// Parses `/exact/path` or `/subtree/*`. `/admin/*` also covers `/admin`, so the root of a
    /// guarded subtree is guarded.
    ///
    /// `None` unless the path is canonical and has no other `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, subtree) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        let root = subtree && path.is_empty();
        let canonical = root || CanonicalPath::parse(path).is_ok_and(|read| read.as_str() == path);
        let open_end = subtree && path.ends_with('/');
        (canonical && !path.contains('*') && !open_end).then(|| Self {
            path: path.to_owned(),
            subtree,
        })
    }

    /// Whether a segment looks like a parameter or a regular expression of another router, which
    /// would be compared as text.
    pub fn has_parameter(text: &str) -> bool {
        let looks_alike = |segment: &str| {
            let first = segment.bytes().next();
            let has = |byte| matches!(byte, b'{' | b'}' | b'<' | b'>' | b'\\' | b'?' | b'|');
            // `/users(1)` and `/items[0]` are literal paths, `/c++` too.
            let repeated = segment.ends_with('+') && !segment.ends_with("++");
            matches!(first, Some(b':' | b'(' | b'^' | b'['))
                || segment.ends_with('$')
                || repeated
                || segment.bytes().any(has)
                || has_character_class(segment)
        };
        text.split('/').any(looks_alike)
    }

    /// Exact patterns first, then by length.
    pub(super) fn rank(&self) -> (bool, usize) {
        (!self.subtree, self.path.len())
    }
}

/// Whether a segment has brackets with anything but one index or name, such as `[a-z]` or `[^/]`.
fn has_character_class(segment: &str) -> bool {
    let is_index = |text: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !text.is_empty() && text.bytes().all(is_word)
    };
    segment.split('[').skip(1).any(|rest| {
        let index = rest.split_once(']');
        !index.is_some_and(|(index, _)| is_index(index))
    })
}

/// The form that [`RoutePattern::parse`] accepts.
impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        f.write_str(if self.subtree { "/*" } else { "" })
    }
}
