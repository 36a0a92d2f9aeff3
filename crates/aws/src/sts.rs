//! AWS STS: the identity to which the credentials belong, in one signed call of
//! [`GetCallerIdentity`].
//!
//! This module does not retry and has no circuit breaker: the operator CLI asks once.
//!
//! [`GetCallerIdentity`]: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html

use core::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use portcullis_core::time::UnixTime;
use thiserror::Error;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::sign::SigV4Error;
use crate::transport::{Transport, TransportError};

/// The signing name of STS.
const SIGNING_NAME: &str = "sts";

const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// The maximum length of a response in bytes: one holds an ARN and two ids.
const MAX_RESPONSE_BYTES: usize = 8 * 1024;

/// The maximum length of an ARN in bytes. The longest one is of an IAM user: a path of 512
/// characters and a name of 64.
const MAX_ARN_BYTES: usize = 640;

/// The ARN of a caller, `arn:aws:iam::123456789012:user/ann`: printable ASCII without white space
/// and without `;`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallerArn(String);

/// STS did not identify the caller. Never quotes the response.
#[derive(Debug, Error)]
pub enum StsError {
    /// The request could not be signed; it was not sent.
    #[error("the request could not be signed")]
    Sign(#[from] SigV4Error),
    /// No complete response arrived.
    #[error("STS is unreachable or sent no complete response")]
    Transport(#[from] TransportError),
    /// STS refused the request.
    #[error("STS responded with status {}", .0.as_u16())]
    Status(StatusCode),
    /// The response contains no valid ARN of a caller.
    #[error("the response of STS contains no valid ARN")]
    Answer,
}

impl CallerArn {
    /// Parses `arn:<partition>:<iam or sts>::<account>:<resource>`.
    ///
    /// A path of an IAM user may contain any printable character. An ARN with another character
    /// than those of names (`A-Z a-z 0-9 + = , . @ _ - /`) is refused, so that an ARN needs no
    /// escapes in XML and in an audit entry.
    fn parse(text: &str, account: &str) -> Option<Self> {
        let mut fields = text.splitn(6, ':');
        let mut field = || fields.next();
        let (scheme, partition, service) = (field()?, field()?, field()?);
        let (region, owner, resource) = (field()?, field()?, field()?);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/:".contains(&byte);
        let fits = text.len() <= MAX_ARN_BYTES
            && scheme == "arn"
            && partition.starts_with("aws")
            && partition
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && matches!(service, "iam" | "sts")
            && region.is_empty()
            && owner.len() == 12
            && owner.bytes().all(|byte| byte.is_ascii_digit())
            && owner == account
            && !resource.is_empty()
            && resource.bytes().all(is_name);
        fits.then(|| Self(text.to_owned()))
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks STS at `endpoint` to which identity the credentials of `client` belong; `now` signs the
/// request.
///
/// # Errors
///
/// [`StsError`]. No IAM policy can deny this call, so a refusal means invalid credentials.
pub async fn caller_identity<T: Transport>(
    client: &Client<T>,
    endpoint: &Endpoint,
    now: UnixTime,
) -> Result<CallerArn, StsError> {
    let mut request = Request::new(Bytes::from_static(FORM.as_bytes()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.uri().clone();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    request.headers_mut().insert(CONTENT_TYPE, form);
    client.sign(&mut request, SIGNING_NAME, now)?;
    read(&client.transport().send(request).await?)
}

fn read(response: &Response<Bytes>) -> Result<CallerArn, StsError> {
    if response.status() != StatusCode::OK {
        return Err(StsError::Status(response.status()));
    }
    arn_in(response.body()).ok_or(StsError::Answer)
}

/// The ARN in the response. It is no general XML parser: a document with a declaration of types, a
/// comment, a CDATA section or a repeated element is refused.
fn arn_in(body: &[u8]) -> Option<CallerArn> {
    if body.len() > MAX_RESPONSE_BYTES {
        return None;
    }
    let text = core::str::from_utf8(body).ok()?;
    if text.contains("<!") {
        return None;
    }
    let result = element(text, "GetCallerIdentityResult")?;
    let (arn, account) = (element(result, "Arn")?, element(result, "Account")?);
    CallerArn::parse(arn, account)
}

/// The content of the only element `name` without attributes in `text`.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, rest) = rest.split_once(&format!("</{name}>"))?;
    let again = |part: &str| part.contains(&format!("<{name}"));
    (!again(content) && !again(rest)).then_some(content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::Region;
    use crate::script::{NOON, client, response};

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/Operators/ann@example.com";

    fn document(arn: &str, account: &str) -> String {
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
             <GetCallerIdentityResult>\n    <Arn>{arn}</Arn>\n    <UserId>AROA:ann</UserId>\n    \
             <Account>{account}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\
             <RequestId>1</RequestId></ResponseMetadata>\n</GetCallerIdentityResponse>"
        )
    }

    fn endpoint() -> Endpoint {
        Endpoint::of_sts(&Region::parse("eu-central-1").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_caller_identity_is_one_signed_form_request_to_the_regions_sts() {
        let client = client([response(200, document(ARN, "123456789012"))]);
        let arn = caller_identity(&client, &endpoint(), NOON).await.unwrap();
        assert_eq!(arn.as_str(), ARN);
        let requests = client.transport().requests();
        let request = &requests[0];
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(request.body(), FORM);
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/eu-central-1/sts/aws4_request"));
        assert!(authorization.contains("content-type;host;x-amz-date"));
    }

    #[tokio::test]
    async fn a_refusal_a_redirect_and_a_failed_connection_identify_no_caller() {
        let good = document(ARN, "123456789012");
        for (answer, message) in [
            (response(403, good.clone()), "STS responded with status 403"),
            (response(307, good.clone()), "STS responded with status 307"),
            (response(202, good.clone()), "STS responded with status 202"),
            (
                Err(TransportError::Timeout),
                "STS is unreachable or sent no complete response",
            ),
            (
                response(200, "<Arn>arn:aws:iam::1:root</Arn>"),
                "the response of STS contains no valid ARN",
            ),
        ] {
            let client = client([answer]);
            let error = caller_identity(&client, &endpoint(), NOON).await;
            assert_eq!(error.unwrap_err().to_string(), message);
            assert_eq!(client.transport().requests().len(), 1, "{message}");
        }
    }

    #[test]
    fn an_arn_of_each_kind_of_caller_is_accepted() {
        for arn in [
            ARN,
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:user/division_abc/sub-division/ann+x=1,2.3",
            "arn:aws-cn:iam::123456789012:user/ann",
            "arn:aws-us-gov:sts::123456789012:federated-user/ann",
            "arn:aws:sts::123456789012:user/moto",
        ] {
            let parsed = arn_in(document(arn, "123456789012").as_bytes());
            assert_eq!(parsed.unwrap().to_string(), arn);
        }
    }

    #[test]
    fn an_arn_that_could_forge_an_audit_entry_is_refused() {
        for arn in [
            "",
            "ann",
            "arn:aws:iam::123456789012:",
            "arn:aws:iam::123456789012",
            "arn:aws:iam::210987654321:user/ann",
            "arn:aws:iam:eu-central-1:123456789012:user/ann",
            "arn:aws:s3::123456789012:user/ann",
            "arn:gcp:iam::123456789012:user/ann",
            "urn:aws:iam::123456789012:user/ann",
            "arn:aws:iam::123456789012:user/ann;grace",
            "arn:aws:iam::123456789012:user/ann grace",
            "arn:aws:iam::123456789012:user/ann\n",
            "arn:aws:iam::123456789012:user/\u{e4}nn",
            "arn:aws:iam::123456789012:user/&#x3b;",
            "arn:aws:iam::123456789012:user/<b>ann</b>",
            " arn:aws:iam::123456789012:user/ann",
        ] {
            let parsed = arn_in(document(arn, "123456789012").as_bytes());
            assert_eq!(parsed, None, "{arn:?}");
        }
        for (length, fits) in [(MAX_ARN_BYTES, true), (MAX_ARN_BYTES + 1, false)] {
            let prefix = "arn:aws:iam::123456789012:user/";
            let arn = format!("{prefix}{}", "a".repeat(length - prefix.len()));
            let parsed = arn_in(document(&arn, "123456789012").as_bytes());
            assert_eq!(parsed.is_some(), fits, "{length}");
        }
    }

    #[test]
    fn an_xml_document_with_more_than_one_reading_is_refused() {
        let good = document(ARN, "123456789012");
        let other = "<Arn>arn:aws:iam::123456789012:root</Arn>";
        for document in [
            good.replace("<Arn>", &format!("{other}<Arn>")),
            good.replace("</Arn>", &format!("</Arn>{other}")),
            good.replace("</Arn>", "</Arn><Arn a=\"1\">x</Arn>"),
            good.replace("<Arn>", "<!-- <Arn> --><Arn>"),
            good.replace("<Arn>", "<Arn><![CDATA[")
                .replace("</Arn>", "]]></Arn>"),
            good.replace(
                "<GetCallerIdentityResponse",
                "<!DOCTYPE a><GetCallerIdentityResponse",
            ),
            good.replace("<Account>", "<Account>1</Account><Account>"),
            good.replace("GetCallerIdentityResult", "AssumeRoleResult"),
            good.replace("</GetCallerIdentityResult>", &good),
            format!("{good}{good}"),
        ] {
            assert_ne!(document, good);
            assert_eq!(arn_in(document.as_bytes()), None, "{document}");
        }
        for end in 0..good.find("</GetCallerIdentityResult>").unwrap() {
            assert_eq!(arn_in(good.get(..end).unwrap().as_bytes()), None);
        }
        for (length, fits) in [(MAX_RESPONSE_BYTES, true), (MAX_RESPONSE_BYTES + 1, false)] {
            let padded = format!("{good}{}", " ".repeat(length - good.len()));
            assert_eq!(arn_in(padded.as_bytes()).is_some(), fits, "{length}");
        }
        assert_eq!(arn_in(&[good.as_bytes(), &[0xff]].concat()), None);
    }

    proptest! {
        #[test]
        fn any_response_gives_a_printable_arn_without_a_separator_or_none(
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..256),
                "(<|</|Arn|>|arn:aws:iam::123456789012:|[ -~]){0,40}".prop_map(String::into_bytes),
                "[ -~]{0,60}".prop_map(|tail| {
                    let arn = format!("arn:aws:iam::123456789012:user/{tail}");
                    document(&arn, "123456789012").into_bytes()
                }),
            ],
        ) {
            if let Some(arn) = arn_in(&body) {
                let plain = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b'<';
                prop_assert!(arn.as_str().bytes().all(plain), "{arn}");
                prop_assert!(arn.as_str().starts_with("arn:aws"), "{arn}");
            }
        }
    }
}
