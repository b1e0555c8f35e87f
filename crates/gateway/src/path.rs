//! Request paths: which are refused because gateway and API could read them differently.
//!
//! What passes is matched and forwarded byte for byte; nothing is decoded, merged or rewritten. What a lenient server
//! could make of a path is worked out beside it, for comparison alone.

use std::borrow::Cow;

/// Verifies that `path` can be read in one way only.
///
/// # Errors
///
/// [`AmbiguousPath`] for a path that does not start with `/`, or has an empty segment, a segment `.` or `..` (in front
/// of parameters and beside blanks too), a backslash, a blank or control character, an encoded `/`, `\` or NUL, or bytes
/// that do not decode to UTF-8; and for an encoded character that needs no encoding, since `/%61pi` and `/api` name the
/// same resource to whoever decodes.
///
/// [RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)
pub(crate) fn verify(path: &str) -> Result<(), AmbiguousPath> {
    if is_plain(path) {
        return Ok(());
    }
    verify_by_segments(path)
}

fn verify_by_segments(path: &str) -> Result<(), AmbiguousPath> {
    let segments = path.strip_prefix('/').ok_or(AmbiguousPath)?;
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let decoded = decode(segment)?;
        let is_last = segments.peek().is_none();
        if matches!(name_of(&decoded), "." | "..") || (segment.is_empty() && !is_last) {
            return Err(AmbiguousPath);
        }
    }
    Ok(())
}

/// What servers that fold paths make of one that passed [`verify`]: segments percent-decoded, cut at `;`, in lower
/// case, without the blanks around them and the dots behind them; segments of which nothing is left are gone.
///
/// Paths with one folded form may name one resource to such a server, and still be two to another.
pub(crate) fn folded(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(folded_by_segments(path))
}

fn folded_by_segments(path: &str) -> String {
    let mut folded = String::with_capacity(path.len());
    for segment in path.split('/') {
        let decoded = decode(segment).unwrap_or_default();
        let name = name_of(&decoded);
        let name = name.trim_end_matches(|character: char| character == '.' || character.is_whitespace());
        if !name.is_empty() {
            folded.push('/');
            folded.push_str(&name.to_lowercase());
        }
    }
    folded
}

/// Whether a path is of `/`, `a` to `z`, `0` to `9`, `-` and `_` alone, without an empty segment: then it has one reading,
/// and is its own folded form, as most are.
fn is_plain(path: &str) -> bool {
    let mut segment_begins = false;
    for byte in path.bytes() {
        match byte {
            b'/' if !segment_begins => segment_begins = true,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => segment_begins = false,
            _ => return false,
        }
    }
    path.starts_with('/') && !segment_begins
}

/// A decoded segment without its parameters and the blanks around it: some servers drop these before they look for
/// dots.
fn name_of(decoded: &str) -> &str {
    decoded.split(';').next().unwrap_or_default().trim()
}

fn decode(segment: &str) -> Result<Cow<'_, str>, AmbiguousPath> {
    if segment
        .bytes()
        .any(|byte| matches!(byte, b'\\' | 0..=0x20 | 0x7f))
    {
        return Err(AmbiguousPath);
    }
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => decoded_octet(bytes.next(), bytes.next()).ok_or(AmbiguousPath)?,
            other => other,
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| AmbiguousPath)?;
    Ok(Cow::Owned(decoded))
}

/// The octet behind a `%`, if it is one that has to be encoded and does not change the path's structure.
fn decoded_octet(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let octet = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    let is_structure = matches!(octet, b'/' | b'\\' | 0);
    let is_unreserved = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
    (!is_structure && !is_unreserved).then_some(octet)
}

/// The path could be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path could be read in more than one way")]
pub(crate) struct AmbiguousPath;

#[cfg(test)]
mod tests {
    use super::*;

    /// N1.
    #[test]
    fn accepts_paths_with_one_reading() {
        for path in [
            "/",
            "/api",
            "/api/",
            "/api/transactions/17",
            "/api/a;b=c",
            "/api/.well-known/x",
            "/api/...",
            "/api/a.b",
            "/api/%20x",
            "/api/%C3%A4",
            "/api/ä",
            "/api/%3B",
            "/api/100%25",
            "/api/:a@b!$&'()*+,=~",
        ] {
            assert_eq!(verify(path), Ok(()), "{path}");
        }
    }

    /// N1.
    #[test]
    fn refuses_dot_segments_in_every_spelling() {
        for path in [
            "/.",
            "/..",
            "/api/.",
            "/api/../admin",
            "/api/./x",
            "/%2e",
            "/api/%2e%2e/admin",
            "/api/%2E%2e/x",
            "/.%2e/x",
            "/api/..;/admin",
            "/api/.;a=b/x",
            "/api/..%3b/admin",
            "/api/..%3Ba=b/admin",
            "/api/..%20/admin",
            "/api/%20./admin",
        ] {
            assert_eq!(verify(path), Err(AmbiguousPath), "{path}");
        }
    }

    /// N1.
    #[test]
    fn refuses_hidden_separators_and_empty_segments() {
        for path in [
            "//", "//api", "/api//x", "/api/x//", "/api%2fx", "/api%2Fx", "/api%5cx", "/api%5Cx", "/api\\x",
            "/api%00", "/api\tx",
        ] {
            assert_eq!(verify(path), Err(AmbiguousPath), "{path:?}");
        }
    }

    /// N1.
    #[test]
    fn refuses_what_does_not_decode() {
        for path in ["/%", "/%4", "/%zz", "/%+1", "/%FF", "/%C3x", "/%C0%AF"] {
            assert_eq!(verify(path), Err(AmbiguousPath), "{path}");
        }
    }

    /// N1: another spelling of a path must not reach another route's rules.
    #[test]
    fn refuses_encoded_characters_that_need_no_encoding() {
        for path in ["/%61pi", "/api/%74ransactions", "/%41", "/%7E", "/%2D"] {
            assert_eq!(verify(path), Err(AmbiguousPath), "{path}");
        }
    }

    /// N1: neither `*` nor the empty path of CONNECT is a path.
    #[test]
    fn refuses_what_does_not_start_with_a_slash() {
        for path in ["", "*", "api"] {
            assert_eq!(verify(path), Err(AmbiguousPath), "{path}");
        }
    }

    /// N1: what some servers overlook.
    #[test]
    fn folds_what_lenient_servers_take_for_one_path() {
        for path in [
            "/raw/admin",
            "/raw/admin/",
            "/raw/admin;x",
            "/raw;a=b/admin;x=1",
            "/raw/admin%3Bx",
            "/raw/;x/admin",
            "/raw/ADMIN",
            "/Raw/Admin",
            "/raw/admin%20",
            "/raw/%20admin%09",
            "/raw/admin.",
            "/raw/admin.%20.",
            "/raw/admin%20;x",
            "/raw/.../admin",
        ] {
            assert_eq!(verify(path), Ok(()), "{path}");
            assert_eq!(folded(path), "/raw/admin", "{path}");
        }
    }

    /// N1.
    #[test]
    fn keeps_apart_what_is_no_spelling_of_the_same_path() {
        for (path, expected) in [
            ("/", ""),
            ("/raw/admins", "/raw/admins"),
            ("/raw/ad%20min", "/raw/ad min"),
            ("/raw/.admin", "/raw/.admin"),
            ("/raw/a.b", "/raw/a.b"),
            ("/raw/%C3%84", "/raw/ä"),
            ("/raw/x;/admin", "/raw/x/admin"),
        ] {
            assert_eq!(folded(path), expected, "{path}");
        }
    }

    #[test]
    fn a_plain_path_has_one_reading_and_is_its_own_folded_form() {
        for (path, expected) in [
            ("/raw/admin-2/x_y", true),
            ("/raw/", false),
            ("/raw//admin", false),
            ("/Raw", false),
            ("/raw;x", false),
            ("/raw.", false),
            ("/r%20w", false),
            ("raw", false),
            ("", false),
        ] {
            assert_eq!(is_plain(path), expected, "{path}");
            if expected {
                assert_eq!(verify_by_segments(path), Ok(()), "{path}");
                assert_eq!(folded_by_segments(path), path, "{path}");
            }
        }
    }
}
