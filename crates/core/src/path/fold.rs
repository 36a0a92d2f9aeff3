//! Twins of a path: other spellings that an origin may serve with the same handler.
//!
//! An origin that ignores case runs the handler of `/admin` for `/ADMIN`. The policy matches the
//! spelling of the request, so the gate also matches each form that one or more folds give. A fold
//! removes one difference that an origin may ignore.

use std::borrow::Cow;

use super::{CanonicalPath, is_dot_segment};
use crate::denial::Denial;

/// A set of folds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Folds(u8);

/// Letters in lower case.
const CASE: u8 = 1;
/// No slash at the end.
const SLASH: u8 = 1 << 1;
/// No dots and blanks at the end of a segment.
const BLANKS: u8 = 1 << 2;
/// No format suffix.
const SUFFIX: u8 = 1 << 3;
/// `%2F` decoded.
const ENCODED_SLASH: u8 = 1 << 4;
/// `%25XX` decoded once more.
const DOUBLE_ESCAPE: u8 = 1 << 5;
/// Escaped reserved characters decoded, such as `%3A`.
const RESERVED: u8 = 1 << 6;

const SPACE: &str = "%20";
const NO_BREAK_SPACE: &str = "%C2%A0";

/// Letters beyond ASCII that become ASCII letters in lower or upper case (U+212A, U+017F, U+0130,
/// U+0131).
const LETTERS: &[(&str, &str)] = &[
    ("%e2%84%aa", "k"),
    ("%c5%bf", "s"),
    ("%c4%b0", "i"),
    ("%c4%b1", "i"),
];

impl Folds {
    /// No fold: the path as it is.
    pub const NONE: Self = Self(0);

    /// At least the folds that could change `path`, alone or after another one.
    pub fn of(path: &str, suffixes: &[String]) -> Self {
        let own = Self::of_decoded(path, suffixes);
        match unescaped(path) {
            Ok(once_more) if once_more != path => {
                Self(DOUBLE_ESCAPE).union(own.union(Self::of_decoded(&once_more, suffixes)))
            }
            _ => own,
        }
    }

    fn of_decoded(path: &str, suffixes: &[String]) -> Self {
        let on = |bits: u8, condition: bool| if condition { bits } else { 0 };
        let trims = |segment: &str| trimmed(segment).len() < segment.len();
        Self(
            // Also true for the escapes of `LETTERS`.
            on(CASE, path.bytes().any(|byte| byte.is_ascii_uppercase()))
                | on(SLASH, path.len() > 1 && path.ends_with('/'))
                | on(BLANKS, path.split('/').any(trims))
                | on(RESERVED, path.contains('%') && decoded(path) != path)
                | on(ENCODED_SLASH | BLANKS, path.contains("%2F"))
                | on(
                    SUFFIX | BLANKS | SLASH,
                    !suffixes.is_empty() && path.contains('.'),
                ),
        )
    }

    /// The folds of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All sets of at least one of these folds.
    pub fn subsets(self) -> impl Iterator<Item = Self> {
        (1..=self.0)
            .filter(move |bits| bits & !self.0 == 0)
            .map(Self)
    }

    /// The folds of a pattern for a path with these folds: also without each fold that changes a
    /// path more than once. `/v.json.json` is a twin of `/v.json`, which has a suffix of its own.
    pub(crate) fn of_pattern(self) -> impl Iterator<Item = Self> {
        [0, SUFFIX, DOUBLE_ESCAPE, SUFFIX | DOUBLE_ESCAPE]
            .into_iter()
            .filter(move |left_out| self.0 & left_out == *left_out)
            .map(move |left_out| Self(self.0 & !left_out))
    }

    /// Without the fold of format suffixes, which only the end of a path has.
    pub(crate) const fn without_suffix(self) -> Self {
        Self(self.0 & !SUFFIX)
    }

    const fn has(self, fold: u8) -> bool {
        self.0 & fold != 0
    }
}

/// `path` after `folds`; a path or the path of a pattern.
pub fn fold<'p>(path: &'p str, folds: Folds, suffixes: &[String]) -> Cow<'p, str> {
    if folds == Folds::NONE || path.is_empty() {
        return Cow::Borrowed(path);
    }
    let mut folded = path.to_owned();
    if folds.has(DOUBLE_ESCAPE) {
        // Only a pattern can have no decoded form here: `check_twins` rejects such a request.
        if let Ok(once_more) = unescaped(path) {
            folded = once_more.into_owned();
        }
    }
    if folds.has(RESERVED) {
        folded = decoded(&folded);
    }
    if folds.has(ENCODED_SLASH) {
        folded = folded.replace("%2F", "/");
    }
    if folds.has(SLASH) {
        trim_slash(&mut folded);
    }
    if folds.has(BLANKS) {
        folded = without_blanks(&folded);
    }
    if folds.has(SUFFIX) {
        trim_suffix(&mut folded, suffixes);
        if folds.has(BLANKS) {
            folded = without_blanks(&folded);
        }
    }
    if folds.has(CASE) {
        folded.make_ascii_lowercase();
        for (escape, letter) in LETTERS {
            folded = folded.replace(escape, letter);
        }
    }
    if folds.has(SLASH) {
        trim_slash(&mut folded);
    }
    Cow::Owned(folded)
}

/// Whether `path` or a twin of it is `reserved`, a path in folded form.
pub(crate) fn is_twin_of(path: &str, reserved: &str, suffixes: &[String]) -> bool {
    // A fold lengthens no path.
    path.len() >= reserved.len() && fold(path, Folds::of(path, suffixes), suffixes) == reserved
}

/// Rejects a path if a decoded form of it is ambiguous: an origin that decodes once more than the
/// edge would leave the route (path traversal).
///
/// # Errors
///
/// [`Denial::BadPath`].
pub fn check_twins(path: &str, encoded_slash: bool) -> Result<(), Denial> {
    check_slashes(path, encoded_slash)?;
    check_blank_dots(path)?;
    let once_more = unescaped(path)?;
    check_slashes(&once_more, encoded_slash)?;
    check_blank_dots(&once_more)
}

/// Rejects `%2F` unless `encoded_slash`, and if its decoded form has an empty or a dot segment.
///
/// # Errors
///
/// [`Denial::BadPath`].
pub fn check_slashes(path: &str, encoded_slash: bool) -> Result<(), Denial> {
    if !path.contains("%2F") {
        return Ok(());
    }
    let decoded = path.replace("%2F", "/");
    let ambiguous = decoded.contains("//")
        || decoded.split('/').any(is_dot_segment)
        || path.ends_with("%2F")
        || check_blank_dots(&decoded).is_err();
    if encoded_slash && !ambiguous {
        Ok(())
    } else {
        Err(Denial::BadPath)
    }
}

/// Rejects a segment such as `..%20`: an origin that trims blanks reads a dot segment.
fn check_blank_dots(path: &str) -> Result<(), Denial> {
    let is_ambiguous = |segment: &str| {
        segment.contains('%') && segment.contains('.') && trimmed(segment).is_empty()
    };
    if path.split('/').any(is_ambiguous) {
        Err(Denial::BadPath)
    } else {
        Ok(())
    }
}

/// `path` with each escape of a visible ASCII character decoded, except those that change the parts
/// of a URL: `%`, `/`, `\`, `?` and `#`. RFC 3986 §2.2 lets an origin distinguish `%3A` and `:`, but
/// most route by the decoded path.
fn decoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut parts = path.split('%');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let letter = byte.filter(|byte| byte.is_ascii_graphic() && !b"%/\\?#".contains(byte));
        match letter {
            Some(letter) => {
                text.push(char::from(letter));
                text.push_str(part.get(2..).unwrap_or_default());
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

/// `%25XX` as `%XX`, in canonical form.
fn unescaped(path: &str) -> Result<Cow<'_, str>, Denial> {
    if !path.contains("%25") {
        return Ok(Cow::Borrowed(path));
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("%25") {
        let is_escape = after
            .get(..2)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        decoded.push_str(before);
        decoded.push_str(if is_escape { "%" } else { "%25" });
        rest = after;
    }
    decoded.push_str(rest);
    CanonicalPath::parse_target(&decoded).map(|path| Cow::Owned(path.0))
}

fn trim_slash(path: &mut String) {
    if path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
}

fn trim_suffix(path: &mut String, suffixes: &[String]) {
    for suffix in suffixes {
        let start = path.len().saturating_sub(suffix.len());
        if path
            .get(start..)
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        {
            path.truncate(start);
            return;
        }
    }
}

/// A segment of only dots and blanks vanishes with its slash.
fn without_blanks(path: &str) -> String {
    let mut kept = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let short = trimmed(segment);
        if !short.is_empty() || segment.is_empty() {
            kept.push('/');
            kept.push_str(short);
        }
    }
    if kept.is_empty() {
        kept.push('/');
    }
    kept
}

fn trimmed(segment: &str) -> &str {
    let mut short = segment;
    while let Some(shorter) = short
        .strip_suffix('.')
        .or_else(|| short.strip_suffix(SPACE))
        .or_else(|| short.strip_suffix(NO_BREAK_SPACE))
    {
        short = shorter;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(path: &str) -> String {
        let suffixes = [".json".to_owned()];
        fold(path, Folds::of(path, &suffixes), &suffixes).into_owned()
    }

    #[test]
    fn twins_of_a_path_fold_to_one_form() {
        for twin in [
            "/pay",
            "/PAY",
            "/pay/",
            "/pay.",
            "/pay..",
            "/pay%20",
            "/pay%C2%A0",
            "/pay.%20.",
            "/p%2561y",
            "/pay.json",
            "/pay.JSON",
            "/pay.json/",
            "/pay.json%20",
            "/pay/%20",
            "/.../pay",
            "/pay./",
            "/%2550ay%2520",
        ] {
            assert_eq!(folded(twin), "/pay", "{twin}");
        }
        for (path, form) in [
            ("/", "/"),
            ("/%20", "/"),
            ("/a/b", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("/A./b%20/C", "/a/b/c"),
            ("/%E2%84%AA%C5%BF%C4%B0%C4%B1", "/ksii"),
            ("/caf%C3%A9", "/caf%c3%a9"),
            ("/a%25", "/a%25"),
            ("/a%3AB%21%7C", "/a:b!|"),
            ("/a%3Fb%23c", "/a%3fb%23c"),
            ("/a.xml", "/a.xml"),
            ("/a.b.json/c", "/a.b.json/c"),
        ] {
            assert_eq!(folded(path), form, "{path}");
        }
    }

    #[test]
    fn a_folded_path_has_no_folds() {
        for path in ["/", "/a", "/a/b-c/~d", "/a.b/c", "/items[0]:x@y"] {
            assert_eq!(Folds::of(path, &[]), Folds::NONE, "{path}");
        }
        assert_eq!(Folds::NONE.subsets().count(), 0);
        assert_eq!(Folds(63).subsets().count(), 63);
        assert_eq!(Folds(CASE | BLANKS).subsets().count(), 3);
    }

    #[test]
    fn path_traversal_by_a_second_decoding_is_rejected() {
        for path in [
            "/a/%252e%252e/b",
            "/a%252fb",
            "/a%255cb",
            "/a%2500",
            "/a%250d%250a",
            "/a%253bb",
            "/a/..%20/b",
            "/a/%20./b",
            "/a/..%2520/b",
            "/a/.%C2%A0",
            "/a%25c0%25af",
        ] {
            assert_eq!(check_twins(path, false), Err(Denial::BadPath), "{path}");
        }
        for path in [
            "/a%25",
            "/a%25zz",
            "/a%2525",
            "/a%2541",
            "/a/...",
            "/a/%20/b",
            "/100%25%20",
        ] {
            assert_eq!(check_twins(path, false), Ok(()), "{path}");
        }
    }

    #[test]
    fn an_encoded_slash_needs_permission_and_no_ambiguous_segment() {
        for path in ["/npm/@scope%2Fname", "/a%252Fb", "/a%2Fb/c%2Fd"] {
            assert_eq!(check_twins(path, true), Ok(()), "{path}");
            assert_eq!(check_twins(path, false), Err(Denial::BadPath), "{path}");
        }
        for path in [
            "/a%2F",
            "/a%2F/b",
            "/a/%2Fb",
            "/a%2F%2Fb",
            "/a%2F..%2Fb",
            "/a%2F.",
            "/..%2Fa",
            "/a%252F..",
            "/a%2F..%20%2Fb",
        ] {
            assert_eq!(check_twins(path, true), Err(Denial::BadPath), "{path}");
        }
    }
}
