//! The bearer token of a request ([RFC 6750 §2.1]).
//!
//! [RFC 6750 §2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1

use crate::denial::Denial;

/// Takes the token out of an `Authorization` value; `None` if there is no such header.
///
/// The scheme's case does not matter ([RFC 9110 §11.1]). Other places a token could stand in
/// (query, form body) are not looked at: they end up in logs.
///
/// # Errors
///
/// [`Denial::MalformedAuthorization`] for another scheme, two values that were joined, or
/// anything but one token behind the one space.
///
/// [RFC 9110 §11.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.1
pub fn bearer_token(authorization: Option<&str>) -> Result<Option<&str>, Denial> {
    let Some(value) = authorization else {
        return Ok(None);
    };
    let (scheme, token) = value
        .split_once(' ')
        .ok_or(Denial::MalformedAuthorization)?;
    // b64token, of which a JWT uses a part; a comma or blank means more than one.
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
    fn one_token_behind_the_scheme() {
        assert_eq!(bearer_token(None), Ok(None));
        for accepted in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
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
            "Bearer a\t",
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
