//! The bearer token of a request ([RFC 6750 §2.1]).
//!
//! [RFC 6750 §2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1

use crate::denial::Denial;

/// Extracts the token from an `Authorization` value; `None` if there is no such header.
///
/// Blanks around the value do not belong to it ([RFC 9110 §5.5]); not every platform removes them.
/// The scheme is case-insensitive ([RFC 9110 §11.1]). Tokens in a query or form body are ignored,
/// because these end up in logs.
///
/// # Errors
///
/// [`Denial::MalformedAuthorization`] for another scheme, two joined values, or anything but one
/// token after one space.
///
/// [RFC 9110 §5.5]: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
/// [RFC 9110 §11.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.1
pub fn bearer_token(authorization: Option<&str>) -> Result<Option<&str>, Denial> {
    let Some(value) = authorization else {
        return Ok(None);
    };
    let (scheme, token) = value
        .trim_matches([' ', '\t'])
        .split_once(' ')
        .ok_or(Denial::MalformedAuthorization)?;
    // b64token, a superset of the JWT characters; a comma or space means more than one value.
    let one = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(one) {
        Ok(Some(token))
    } else {
        Err(Denial::MalformedAuthorization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorization_header_holds_one_bearer_token() {
        assert_eq!(bearer_token(None), Ok(None));
        for accepted in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER a.b.c",
            "Bearer a.b.c ",
            "Bearer a.b.c\t",
            " \tBearer a.b.c \t ",
        ] {
            assert_eq!(bearer_token(Some(accepted)), Ok(Some("a.b.c")));
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Basic a",
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer a\tb",
            "Bearer\ta",
            "Bearer a\u{a0}",
            "a.b.c",
        ] {
            assert_eq!(
                bearer_token(Some(bad)),
                Err(Denial::MalformedAuthorization),
                "{bad:?}"
            );
        }
    }
}
