//! The claims of a token, explained in words. None of them is verified.

use portcullis_core::base64url;
use portcullis_core::json::{Json, Object};
use portcullis_core::policy::Policy;
use portcullis_core::time::UnixTime;
use serde_json::Value;

/// A token decoded as far as possible, even if every gate rejects it.
#[derive(Debug)]
pub(super) struct DecodedToken {
    header: Option<Object>,
    claims: Option<Object>,
    remarks: Vec<(String, String, String)>,
}

impl DecodedToken {
    pub(super) fn of(token: &str, policy: Option<&Policy>, now: UnixTime) -> Self {
        let mut parts = token.split('.').map(part);
        let header = parts.next().flatten();
        let claims = parts.next().flatten();
        let mut remarks = Vec::new();
        for (name, value) in header.iter().flat_map(Object::iter) {
            remarks.push((
                name.to_owned(),
                value.to_string(),
                in_header(name).to_owned(),
            ));
        }
        let claimed = claims.as_ref().and_then(|claims| claims.get("iss"));
        let trusted = claimed
            .and_then(Json::as_text)
            .and_then(|issuer| policy?.issuer(issuer));
        for (name, value) in claims.iter().flat_map(Object::iter) {
            let mut remark = in_claims(name, value, now);
            match (name, policy) {
                ("iss", Some(_)) if trusted.is_some() => remark.push_str(", trusted by the policy"),
                ("iss", Some(_)) => remark.push_str(", NOT trusted by the policy"),
                ("aud", Some(_)) => remark.push_str(audience(value, trusted)),
                _ => {}
            }
            remarks.push((name.to_owned(), value.to_string(), remark));
        }
        Self {
            header,
            claims,
            remarks,
        }
    }

    /// One line for each member.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.header.is_none() {
            text.push_str("the first part is not a JSON object in base64url\n");
        }
        if self.claims.is_none() {
            text.push_str("the second part is not a JSON object in base64url\n");
        }
        for (name, value, remark) in &self.remarks {
            // Quoted: untrusted text stays on one line and cannot move the cursor.
            let name = if name.bytes().all(|byte| byte.is_ascii_graphic()) {
                name.clone()
            } else {
                Json::quote(name).to_string()
            };
            text.push_str(&format!("{name:<12} {value}\n{:<12} {remark}\n", ""));
        }
        text
    }

    pub(super) fn header(&self) -> Value {
        value(self.header.as_ref())
    }

    pub(super) fn claims(&self) -> Value {
        value(self.claims.as_ref())
    }
}

fn part(text: &str) -> Option<Object> {
    Json::parse_object(&base64url::decode(text)?).ok()
}

fn value(object: Option<&Object>) -> Value {
    let json = object.map(|object| Json::Object(object.clone()).to_string());
    json.and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or(Value::Null)
}

fn in_header(name: &str) -> &'static str {
    match name {
        "alg" => "the claimed signature algorithm; the key decides",
        "kid" => "the claimed signing key",
        "typ" => "at+jwt marks an access token (RFC 9068)",
        "crit" | "b64" | "jku" | "x5u" | "jwk" | "zip" | "cty" => "REJECTED in any token",
        _ => "ignored here",
    }
}

fn in_claims(name: &str, value: &Json, now: UnixTime) -> String {
    match name {
        "iss" => "the issuer".to_owned(),
        "sub" => "the subject: the user".to_owned(),
        "aud" => "the audience".to_owned(),
        "exp" => moment("valid until the second before", value, now),
        "iat" => moment("issued", value, now),
        "nbf" => moment("valid from", value, now),
        "auth_time" => moment("the user logged in", value, now),
        "amr" => "the authentication methods of the login (RFC 8176)".to_owned(),
        "jti" => "the token id: a logout can revoke it".to_owned(),
        "client_id" => "the client to which it was issued".to_owned(),
        "scope" => "the granted scopes".to_owned(),
        "sid" => "the session of the token".to_owned(),
        "gen" => "the subject's generation at that login".to_owned(),
        "cnf" => "bound to a key of the sender: REJECTED, because key binding is not verified here"
            .to_owned(),
        _ => "ignored here".to_owned(),
    }
}

fn moment(what: &str, value: &Json, now: UnixTime) -> String {
    let Some(secs) = value.as_whole() else {
        return format!("{what}: NOT whole seconds since 1970");
    };
    let moment = UnixTime::from_secs(secs);
    let (ahead, behind) = (now.until(moment).as_secs(), now.since(moment).as_secs());
    let distance = match (ahead, behind) {
        (0, 0) => "now".to_owned(),
        (0, behind) => format!("{behind} s ago"),
        (ahead, _) => format!("in {ahead} s"),
    };
    format!("{what} {moment}, {distance}")
}

fn audience(
    value: &Json,
    trusted: Option<&portcullis_core::policy::TrustedIssuer>,
) -> &'static str {
    let Some(trusted) = trusted else {
        return "";
    };
    let named = |name: &Json| {
        let known = |name: &str| trusted.audience.iter().any(|ours| ours == name);
        name.as_text().is_some_and(known)
    };
    let meant = named(value)
        || value
            .as_array()
            .is_some_and(|names| names.iter().any(named));
    if meant {
        ", including this audience"
    } else {
        ", WITHOUT this audience"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000);

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| base64url::encode(text.as_bytes());
        format!("{}.{}.x", encode(header), encode(claims))
    }

    #[test]
    fn times_are_printed_with_their_distance_from_now() {
        let token = token(
            r#"{"alg":"EdDSA"}"#,
            r#"{"exp":1010,"iat":990,"nbf":1000,"auth_time":"x"}"#,
        );
        let text = DecodedToken::of(&token, None, NOW).text();
        for expected in [
            "valid until the second before 1970-01-01T00:16:50Z, in 10 s",
            "issued 1970-01-01T00:16:30Z, 10 s ago",
            "valid from 1970-01-01T00:16:40Z, now",
            "NOT whole seconds",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn untrusted_text_in_a_token_cannot_move_the_cursor() {
        let token = token(
            "{}",
            "{\"\\u001b[2J\\n\":\"\\u001b[2J\\r\",\"iss\":\"a\\nb\"}",
        );
        let text = DecodedToken::of(&token, None, NOW).text();
        assert!(
            text.chars()
                .all(|letter| letter == '\n' || !letter.is_control()),
            "{text:?}"
        );
    }

    #[test]
    fn an_invalid_token_is_decoded_as_far_as_possible() {
        for token in ["", "a", "a.b", "...", "\u{e9}.\u{e9}"] {
            let reading = DecodedToken::of(token, None, NOW);
            assert!(reading.text().contains("not a JSON object"), "{token}");
            assert_eq!(reading.claims(), Value::Null);
        }
    }
}
