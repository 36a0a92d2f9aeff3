//! Signature Version 4, verified as a service does: written from AWS's description, independent of
//! the product's signer.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request};
use sha2::{Digest as _, Sha256};

/// The maximum difference between the request's time and the service's, in seconds.
const SKEW: u64 = 300;

/// An access key as the service knows it.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its ID.
    pub id: String,
    /// The secret key.
    pub secret: String,
    /// The session token of a temporary key.
    pub session_token: Option<String>,
}

/// The scope of a valid signature.
#[derive(Clone, Copy, Debug)]
pub struct SigningScope<'a> {
    /// The region.
    pub region: &'a str,
    /// The service's signing name.
    pub service: &'a str,
}

/// Verifies the signature of `request` at `now`.
///
/// # Errors
///
/// The fault, in one sentence.
pub fn verify(
    request: &Request<Bytes>,
    key: &AccessKey,
    scope: SigningScope<'_>,
    now: u64,
) -> Result<(), String> {
    let headers = request.headers();
    let moment = text(headers, "x-amz-date")?;
    let day = moment.get(..8).ok_or("x-amz-date is too short")?;
    if now.abs_diff(seconds(moment).ok_or("x-amz-date is no time")?) > SKEW {
        return Err(format!("signed at {moment}, which is not now"));
    }
    if key.session_token.as_deref() != text(headers, "x-amz-security-token").ok() {
        return Err("the session token is not the key's".to_owned());
    }

    let authorization = Authorization::parse(text(headers, "authorization")?)?;
    let named = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    if authorization.credential != format!("{}/{named}", key.id) {
        return Err(format!("the credential is not {}/{named}", key.id));
    }
    let must = headers.keys().map(|name| name.as_str());
    let must = must
        .filter(|name| name.starts_with("x-amz-"))
        .chain(["host", "content-type"]);
    for name in must {
        if !authorization.signed.contains(&name) {
            return Err(format!("{name} is not signed"));
        }
    }
    let canonical = canonical_request(request, &authorization.signed)?;
    let hash = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{named}\n{hash}");
    if signature(&key.secret, day, scope, &to_sign) == authorization.signature {
        Ok(())
    } else {
        Err("the signature does not match".to_owned())
    }
}

struct Authorization<'a> {
    credential: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str) -> Result<Self, String> {
        let parts = value
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("not AWS4-HMAC-SHA256")?;
        let parts: BTreeMap<_, _> = parts
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .collect();
        let part = |name| parts.get(name).copied().ok_or(format!("{name} is missing"));
        let signed: Vec<_> = part("SignedHeaders")?.split(';').collect();
        if !signed.is_sorted() {
            return Err("the signed headers are not in order".to_owned());
        }
        Ok(Self {
            credential: part("Credential")?,
            signed,
            signature: part("Signature")?,
        })
    }
}

fn canonical_request(request: &Request<Bytes>, signed: &[&str]) -> Result<String, String> {
    if request.uri().query().is_some() {
        return Err("no call of these services has a query".to_owned());
    }
    let mut canonical = format!("{}\n{}\n\n", request.method(), request.uri().path());
    for name in signed {
        let values: Result<Vec<_>, _> = request
            .headers()
            .get_all(*name)
            .iter()
            .map(|value| value.to_str())
            .collect();
        let values = values.map_err(|_| format!("{name} is not ASCII"))?;
        let collapsed: Vec<_> = values
            .iter()
            .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        canonical.push_str(&format!("{name}:{}\n", collapsed.join(",")));
    }
    let body = HEXLOWER.encode(&Sha256::digest(request.body()));
    Ok(format!("{canonical}\n{}\n{body}", signed.join(";")))
}

fn signature(secret: &str, day: &str, scope: SigningScope<'_>, to_sign: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    HEXLOWER.encode(&mac(&key, to_sign))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let value = headers.get(name).ok_or(format!("{name} is missing"))?;
    value.to_str().map_err(|_| format!("{name} is not ASCII"))
}

/// Seconds since 1970 of a time such as `20261123T120000Z`.
fn seconds(moment: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| moment.get(range)?.parse::<u64>().ok();
    let well_formed = moment.len() == 16 && moment.get(8..9)? == "T" && moment.ends_with('Z');
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    if !well_formed || year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = lengths.iter().take(month as usize - 1).sum();
    let days = years + months + day.checked_sub(1)?;
    Some(days * 86_400 + number(9..11)? * 3_600 + number(11..13)? * 60 + number(13..15)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// One of our calls as `botocore` signs it (`tests/vectors/aws/botocore.json`).
    #[derive(Deserialize)]
    struct Vector {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
        service: String,
        region: String,
        now: u64,
        body: String,
        uri: String,
        #[serde(rename = "content-type")]
        content_type: String,
        #[serde(rename = "x-amz-target")]
        target: String,
        authorization: String,
    }

    impl Vector {
        fn all() -> Vec<Self> {
            let text = include_str!("../vectors/aws/botocore.json");
            serde_json::from_str(text).expect("the vectors")
        }

        fn request(&self) -> Request<Bytes> {
            let host = self
                .uri
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            let mut request = Request::post("/")
                .header("host", host.trim_end_matches('/'))
                .header("content-type", &self.content_type)
                .header("x-amz-target", &self.target)
                .header("x-amz-date", portcullis_time(self.now))
                .header("authorization", &self.authorization);
            if let Some(token) = &self.session_token {
                request = request.header("x-amz-security-token", token);
            }
            request.body(self.body.clone().into()).expect("a request")
        }

        fn check(&self, request: &Request<Bytes>, now: u64) -> Result<(), String> {
            let key = AccessKey {
                id: self.access_key_id.clone(),
                secret: self.secret_access_key.clone(),
                session_token: self.session_token.clone(),
            };
            verify(
                request,
                &key,
                SigningScope {
                    region: &self.region,
                    service: &self.service,
                },
                now,
            )
        }
    }

    fn portcullis_time(now: u64) -> String {
        let text = portcullis_core::time::UnixTime::from_secs(now).to_string();
        text.replace(['-', ':'], "")
    }

    #[test]
    fn botocores_sigv4_vectors_verify() {
        let vectors = Vector::all();
        assert!(vectors.len() >= 4);
        for vector in vectors {
            assert_eq!(vector.check(&vector.request(), vector.now), Ok(()));
        }
    }

    #[test]
    fn any_change_breaks_the_sigv4_signature() {
        for vector in Vector::all() {
            let good = vector.request();
            let mut body = good.clone();
            *body.body_mut() = Bytes::from(vector.body.replacen('{', "{ ", 1));
            let mut unsigned = good.clone();
            unsigned
                .headers_mut()
                .insert("x-amz-more", "1".parse().expect("a value"));
            let mut elsewhere = good.clone();
            *elsewhere.uri_mut() = "/other".parse().expect("a path");
            for changed in [&body, &unsigned, &elsewhere] {
                assert!(vector.check(changed, vector.now).is_err());
            }
            for name in [
                "x-amz-target",
                "content-type",
                "host",
                "authorization",
                "x-amz-date",
            ] {
                let mut changed = good.clone();
                changed
                    .headers_mut()
                    .insert(name, "changed".parse().expect("a value"));
                assert!(vector.check(&changed, vector.now).is_err(), "{name}");
            }
            assert!(vector.check(&good, vector.now + SKEW).is_ok());
            assert!(vector.check(&good, vector.now + SKEW + 1).is_err());
        }
    }
}
