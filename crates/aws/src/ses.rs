//! Amazon SES, version 2: one mail in one signed call of [`SendEmail`].
//!
//! This module does not retry: the outbox does, and limits the number of attempts.
//!
//! [`SendEmail`]: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Method, Request, Response};
use portcullis_core::email::EmailAddress;
use portcullis_core::json::{Json, Object};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{AUTO_SUBMITTED, Mail, MailError, Mailer};

use crate::client::Client;
use crate::dependency::Dependency;
use crate::endpoint::Endpoint;
use crate::error::CallError;
use crate::response_body;
use crate::sign::SigV4Error;
use crate::transport::Transport;

/// The signing name of SES.
const SIGNING_NAME: &str = "ses";

const PATH: &str = "/v2/email/outbound-emails";

/// The sender of mail.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The display name.
    pub name: String,
    /// The address; SES must have verified it or its domain.
    pub address: EmailAddress,
}

impl Sender {
    /// The sender in header form: the name as a quoted string ([RFC 5322 §3.2.4]), or as encoded
    /// words if it is not ASCII ([RFC 2047 §2]).
    ///
    /// [RFC 5322 §3.2.4]: https://www.rfc-editor.org/rfc/rfc5322#section-3.2.4
    /// [RFC 2047 §2]: https://www.rfc-editor.org/rfc/rfc2047#section-2
    pub fn to_header(&self) -> String {
        let printable = |letter: char| matches!(letter, ' '..='~');
        let name = if self.name.chars().all(printable) {
            let escaped = self.name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        } else {
            encoded_words(&self.name)
        };
        format!("{name} <{}>", self.address.deliverable())
    }
}

fn encoded_words(text: &str) -> String {
    // 45 bytes are 60 characters of base64: an encoded word has at most 75.
    let mut words = vec![String::new()];
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        let fits = |word: &&mut String| word.len().saturating_add(letter.len_utf8()) <= 45;
        match words.last_mut().filter(fits) {
            Some(word) => word.push(letter),
            None => words.push(letter.to_string()),
        }
    }
    let encode = |word: &String| format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(word.as_bytes()));
    words.iter().map(encode).collect::<Vec<_>>().join(" ")
}

/// SES at a given time.
#[derive(Debug)]
pub struct Ses<'a, T> {
    client: &'a Client<T>,
    endpoint: &'a Endpoint,
    sender: &'a Sender,
    now: UnixTime,
}

impl<'a, T: Transport> Ses<'a, T> {
    /// A client of SES at `endpoint`; `now` signs every request.
    pub const fn at(
        client: &'a Client<T>,
        endpoint: &'a Endpoint,
        sender: &'a Sender,
        now: UnixTime,
    ) -> Self {
        Self {
            client,
            endpoint,
            sender,
            now,
        }
    }

    fn request(&self, mail: &Mail) -> Result<Request<Bytes>, SigV4Error> {
        let mut request = Request::new(Bytes::from(body(self.sender, mail)));
        *request.method_mut() = Method::POST;
        let mut uri = self.endpoint.uri().clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static(PATH));
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| SigV4Error::Request)?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        self.client.sign(&mut request, SIGNING_NAME, self.now)?;
        Ok(request)
    }

    async fn call(&self, mail: &Mail) -> Result<(), CallError> {
        let request = self.request(mail)?;
        let is_well = |response: &Response<Bytes>| !response.status().is_server_error();
        let response = self.client.send(Dependency::Ses, request, is_well).await?;
        response_body::read(response).map(drop)
    }
}

impl<T: Transport> Mailer for Ses<'_, T> {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.call(mail).await.map_err(|error| match error {
            CallError::Open => MailError::NotAsked(error.into()),
            CallError::Service(_) if is_about_the_mail(&error) => {
                MailError::Permanent(error.into())
            }
            CallError::Service(_)
            | CallError::Sign(_)
            | CallError::Transport(_)
            | CallError::Answer(_) => MailError::Transient(error.into()),
        })
    }
}

/// Whether SES rejects this mail permanently. Errors of the account, its limits or its permissions
/// can be fixed.
fn is_about_the_mail(error: &CallError) -> bool {
    error.refusal().is_some_and(|refusal| {
        matches!(
            refusal.code().as_str(),
            "MessageRejected" | "BadRequestException"
        )
    })
}

fn body(sender: &Sender, mail: &Mail) -> String {
    let content =
        |text: &str| Json::from(Object::from_iter([("Data", text), ("Charset", "UTF-8")]));
    let parts = Object::from_iter([
        ("Text", content(mail.text.expose())),
        ("Html", content(mail.html.expose())),
    ]);
    let automatic = Object::from_iter([("Name", AUTO_SUBMITTED.0), ("Value", AUTO_SUBMITTED.1)]);
    let simple = Object::from_iter([
        ("Subject", content(mail.subject.as_str())),
        ("Body", parts.into()),
        ("Headers", Json::Array(vec![automatic.into()])),
    ]);
    let to = Json::Array(vec![mail.to.deliverable().into()]);
    Object::from_iter([
        ("FromEmailAddress", Json::from(sender.to_header())),
        (
            "Destination",
            Object::from_iter([("ToAddresses", to)]).into(),
        ),
        ("Content", Object::from_iter([("Simple", simple)]).into()),
    ])
    .to_string()
}

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;
    use portcullis_service::ports::Subject;
    use serde_json::{Value, json};

    use super::*;
    use crate::endpoint::Region;
    use crate::script::{NOON, client, response};
    use crate::transport::TransportError;

    fn sender(name: &str) -> Sender {
        Sender {
            name: name.to_owned(),
            address: EmailAddress::parse("login@acme.example").unwrap(),
        }
    }

    fn mail() -> Mail {
        Mail {
            to: EmailAddress::parse("Ann@B\u{fc}cher.example").unwrap(),
            subject: Subject::new("Hello"),
            text: Secret::new("text".to_owned()),
            html: Secret::new("<p>html".to_owned()),
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint::of_ses(&Region::parse("eu-central-1").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_mail_is_one_signed_call_in_the_documented_form() {
        let client = client([response(200, r#"{"MessageId":"1"}"#)]);
        let (endpoint, sender) = (endpoint(), sender("Acme"));
        let ses = Ses::at(&client, &endpoint, &sender, NOON);
        ses.send(&mail()).await.unwrap();
        let requests = client.transport().requests();
        let request = &requests[0];
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.uri(),
            "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails"
        );
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/eu-central-1/ses/aws4_request"));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let part = |text: &str| json!({"Data": text, "Charset": "UTF-8"});
        assert_eq!(
            body,
            json!({
                "FromEmailAddress": "\"Acme\" <login@acme.example>",
                "Destination": {"ToAddresses": ["Ann@xn--bcher-kva.example"]},
                "Content": {"Simple": {
                    "Subject": part("Hello"),
                    "Body": {"Text": part("text"), "Html": part("<p>html")},
                    "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                }},
            })
        );
    }

    #[tokio::test]
    async fn permanent_and_temporary_mail_rejections_are_told_apart() {
        let refused = |status, code: &str| response(status, format!(r#"{{"__type":"{code}"}}"#));
        for (answer, permanent) in [
            (refused(400, "MessageRejected"), true),
            (refused(400, "BadRequestException"), true),
            (refused(400, "AccountSuspendedException"), false),
            (refused(400, "MailFromDomainNotVerifiedException"), false),
            (refused(400, "LimitExceededException"), false),
            (refused(429, "TooManyRequestsException"), false),
            (refused(403, "AccessDeniedException"), false),
            (refused(500, "InternalFailure"), false),
            (Err(TransportError::Timeout), false),
        ] {
            let reported = format!("{answer:?}");
            let client = client([answer]);
            let (endpoint, sender) = (endpoint(), sender("Acme"));
            let sent = Ses::at(&client, &endpoint, &sender, NOON)
                .send(&mail())
                .await;
            let is_permanent = matches!(sent, Err(MailError::Permanent(_)));
            assert_eq!(is_permanent, permanent, "{reported}");
            assert_eq!(client.transport().requests().len(), 1, "{reported}");
        }
    }

    #[tokio::test]
    async fn a_mail_rejected_by_the_open_breaker_was_not_sent() {
        let client = client((0..5).map(|_| response(500, r#"{"__type":"InternalFailure"}"#)));
        let (endpoint, sender) = (endpoint(), sender("Acme"));
        let ses = Ses::at(&client, &endpoint, &sender, NOON);
        for mail_number in 1..=5 {
            let sent = ses.send(&mail()).await;
            assert!(
                matches!(sent, Err(MailError::Transient(_))),
                "{mail_number}"
            );
        }
        let sent = ses.send(&mail()).await;
        assert!(matches!(sent, Err(MailError::NotAsked(_))), "{sent:?}");
        assert_eq!(client.transport().requests().len(), 5);
    }

    #[test]
    fn a_sender_name_is_quoted_or_encoded() {
        for (name, header) in [
            ("Acme, Inc.", "\"Acme, Inc.\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("B\u{fc}cher", "=?UTF-8?B?QsO8Y2hlcg==?="),
            ("a\r\nBcc: x", "=?UTF-8?B?YUJjYzogeA==?="),
        ] {
            let expected = format!("{header} <login@acme.example>");
            assert_eq!(sender(name).to_header(), expected);
        }
        let long = sender(&"\u{fc}".repeat(60)).to_header();
        for word in long.split(' ').filter(|word| word.starts_with("=?")) {
            assert!(word.len() <= 75);
        }
    }
}
