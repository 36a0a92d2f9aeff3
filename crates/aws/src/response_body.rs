//! The second half of a call: turns an HTTP response into an object or an error. Pure.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, Response};
use portcullis_core::json::{Json, Object};

use crate::dynamodb::item::Item;
use crate::error::{AwsServiceError, CallError, Reason, ResponseError};
use crate::error_code::{ErrorCode, UnknownCode};
use crate::headers::{CHECKSUM, ERROR_TYPE, REQUEST_ID};
use crate::transport::MAX_ANSWER_BYTES;

/// The JSON object of a response.
pub type ResponseBody = Object;

/// Parses `response`.
///
/// # Errors
///
/// [`CallError::Service`] if the service returned an error, [`CallError::Answer`] if this is not a
/// response of the service.
pub fn read(response: Response<Bytes>) -> Result<ResponseBody, CallError> {
    let (head, body) = response.into_parts();
    if head.status.is_redirection() {
        return Err(ResponseError::Redirect.into());
    }
    if body.len() > MAX_ANSWER_BYTES {
        return Err(ResponseError::TooLong.into());
    }
    let object = intact(&head.headers, &body).and_then(|()| object(&body));
    if head.status.is_success() {
        return Ok(object?);
    }
    let object = match object {
        Ok(object) => object,
        // A server error counts even if its body is unreadable: the error page of a load balancer
        // is not JSON.
        Err(_) if head.status.is_server_error() => ResponseBody::default(),
        Err(_) if head.headers.contains_key(ERROR_TYPE) => ResponseBody::default(),
        Err(error) => return Err(error.into()),
    };
    Err(refusal(head.status.as_u16(), &head.headers, object).into())
}

fn object(body: &[u8]) -> Result<ResponseBody, ResponseError> {
    Json::parse_object(body).map_err(|_syntax| ResponseError::NotJson)
}

fn refusal(status: u16, headers: &HeaderMap, mut object: ResponseBody) -> AwsServiceError {
    let code = match object.get("__type").or_else(|| object.get("code")) {
        Some(Json::Text(code)) => ErrorCode::parse(code),
        _ => ErrorCode::parse(header(headers, &ERROR_TYPE).unwrap_or_default()),
    };
    let reasons = match (object.remove("CancellationReasons"), object.remove("Item")) {
        (Some(Json::Array(reasons)), _) => reasons.into_iter().map(reason).collect(),
        (_, Some(Json::Object(item))) => vec![Reason {
            code: Some(code.clone()),
            existing: Some(Item::from_wire(item)),
        }],
        _ => Vec::new(),
    };
    AwsServiceError {
        code,
        status,
        request_id: header(headers, &REQUEST_ID)
            .map(|id| UnknownCode::sanitise(id).as_str().into()),
        reasons,
    }
}

fn reason(reason: Json) -> Reason {
    let mut reason = reason.into_object().unwrap_or_default();
    let code = match reason.get("Code").and_then(Json::as_text) {
        None | Some("None") => None,
        Some(code) => Some(ErrorCode::parse(code)),
    };
    let existing = match reason.remove("Item") {
        Some(Json::Object(item)) => Some(Item::from_wire(item)),
        _ => None,
    };
    Reason { code, existing }
}

/// Compares `x-amz-crc32` where it covers the received bytes. It is computed over the compressed
/// body, so it cannot be checked if the platform has already decompressed it.
fn intact(headers: &HeaderMap, body: &[u8]) -> Result<(), ResponseError> {
    let Some(expected) = header(headers, &CHECKSUM) else {
        return Ok(());
    };
    if headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    match expected.parse::<u32>() {
        Ok(expected) if expected == crc32(body) => Ok(()),
        _ => Err(ResponseError::Damaged),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// CRC-32 as in [RFC 1952 §8], by half-bytes: bit by bit is too slow for the packs of a busy feed,
/// and the usual table would add 1 KB to the edge.
///
/// [RFC 1952 §8]: https://www.rfc-editor.org/rfc/rfc1952#section-8
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let half = |crc: u32| {
            let [low, ..] = crc.to_le_bytes();
            (crc >> 4)
                ^ HALVES
                    .get(usize::from(low & 0xf))
                    .copied()
                    .unwrap_or_default()
        };
        half(half(crc ^ u32::from(*byte)))
    })
}

/// The CRC of each half-byte.
const HALVES: [u32; 16] = [
    0x0000_0000,
    0x1db7_1064,
    0x3b6e_20c8,
    0x26d9_30ac,
    0x76dc_4190,
    0x6b6b_51f4,
    0x4db2_6158,
    0x5005_713c,
    0xedb8_8320,
    0xf00f_9344,
    0xd6d6_a3e8,
    0xcb61_b38c,
    0x9b64_c2b0,
    0x86d3_d2d4,
    0xa00a_e278,
    0xbdbd_f21c,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::Attribute;
    use crate::error_code::ErrorClass;
    use proptest::prelude::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Bytes::from(body.to_owned())).unwrap()
    }

    fn answer_error(response: Response<Bytes>) -> ResponseError {
        match read(response) {
            Err(CallError::Answer(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn service_error(response: Response<Bytes>) -> AwsServiceError {
        match read(response) {
            Err(CallError::Service(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_complete_json_object_is_accepted_and_a_truncated_one_is_rejected() {
        let whole = r#"{"Item":{"PK":{"S":"KEYS"}}}"#;
        assert!(
            read(response(200, &[], whole))
                .unwrap()
                .contains_key("Item")
        );
        for body in [r#"{"Item":{"PK":{"#, "", "[]", "null", "<html>", "{} {}"] {
            assert_eq!(
                answer_error(response(200, &[], body)),
                ResponseError::NotJson,
                "{body}"
            );
        }
    }

    #[test]
    fn a_checksum_mismatch_is_damage_unless_the_body_was_decompressed() {
        // The check value of CRC-32 ("123456789") in every CRC catalogue.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let good = crc32(b"{}").to_string();
        assert!(read(response(200, &[("x-amz-crc32", &good)], "{}")).is_ok());
        for bad in ["1", "", "2745614148", "x"] {
            let response = response(200, &[("x-amz-crc32", bad)], "{} ");
            assert_eq!(answer_error(response), ResponseError::Damaged);
        }
        let inflated = [("x-amz-crc32", "1"), ("content-encoding", "gzip")];
        assert!(read(response(200, &inflated, "{}")).is_ok());
    }

    #[test]
    fn a_redirect_is_never_accepted_as_a_response() {
        for status in [301, 302, 307, 308] {
            let response = response(status, &[("location", "https://elsewhere.example/")], "{}");
            assert_eq!(answer_error(response), ResponseError::Redirect);
        }
    }

    #[test]
    fn a_response_above_the_size_limit_is_not_parsed() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ANSWER_BYTES));
        assert_eq!(
            answer_error(response(200, &[], &long)),
            ResponseError::TooLong
        );
    }

    #[test]
    fn an_error_code_is_read_from_the_body_or_else_the_header() {
        let body =
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"x"}"#;
        let error = service_error(response(400, &[("x-amzn-requestid", "ABC123")], body));
        assert_eq!(error.code(), &ErrorCode::Throttling);
        assert_eq!(
            error.to_string(),
            "ThrottlingException (status 400, request ABC123)"
        );
        let header = [("x-amzn-errortype", "AccessDeniedException:http://x/")];
        assert_eq!(
            service_error(response(400, &header, "")).code(),
            &ErrorCode::AccessDenied
        );
    }

    #[test]
    fn a_load_balancer_error_page_is_a_server_failure() {
        let error = service_error(response(503, &[], "<html>ada@example.com</html>"));
        assert_eq!(error.class(), ErrorClass::Server);
        assert_eq!(error.to_string(), "none (status 503)");
    }

    #[test]
    fn a_truncated_error_response_has_no_row_reasons() {
        let body = r#"{"__type":"x#ConditionalCheckFailedEx"#;
        assert_eq!(
            answer_error(response(400, &[], body)),
            ResponseError::NotJson
        );
    }

    #[test]
    fn a_cancelled_transaction_has_a_reason_and_the_current_row_for_each_write() {
        let body = r#"{"__type":"x#TransactionCanceledException","CancellationReasons":[
            {"Code":"None"},
            {"Code":"ConditionalCheckFailed","Item":{"request_id":{"S":"r1"}},"Message":"m"},
            {"Code":"TransactionConflict"}, 7]}"#;
        let error = service_error(response(400, &[], body));
        let codes: Vec<_> = error.reasons().iter().map(Reason::code).collect();
        assert_eq!(
            codes,
            [
                None,
                Some(&ErrorCode::ConditionalCheckFailed),
                Some(&ErrorCode::TransactionConflict),
                None
            ]
        );
        let row = error.reasons()[1].existing().unwrap();
        assert_eq!(row.text("request_id"), Ok("r1"));
    }

    #[test]
    fn a_failed_condition_returns_the_current_row() {
        let body = r#"{"__type":"x#ConditionalCheckFailedException","Item":{"version":{"N":"7"}}}"#;
        let error = service_error(response(400, &[], body));
        assert!(error.reasons()[0].is_condition());
        let row = error.reasons()[0].existing().unwrap();
        assert_eq!(row.attribute("version"), Some(Attribute::number(7)));
    }

    #[test]
    fn a_response_truncated_anywhere_is_rejected() {
        let whole = r#"{"Item":{"PK":{"S":"K\u00e9y"},"version":{"N":"7"}},"a":[1.5,true,null]}"#;
        assert!(read(response(200, &[], whole)).is_ok());
        for end in 0..whole.len() {
            let cut = response(200, &[], whole.get(..end).unwrap());
            assert_eq!(answer_error(cut), ResponseError::NotJson, "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_response_is_classified_and_prints_as_one_plain_line(
            status in 200_u16..600,
            kind in prop_oneof!["[A-Za-z]{1,30}Exception", any::<String>()],
            body in prop::collection::vec(any::<u8>(), 0..64),
            is_json in any::<bool>(),
        ) {
            let json = serde_json::json!({
                "__type": kind, "message": "m", "CancellationReasons": [{"Code": kind}, kind],
            });
            let body = if is_json { json.to_string().into_bytes() } else { body };
            let response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
            if let Err(CallError::Service(error)) = read(response) {
                prop_assert!(!(200..400).contains(&status));
                let line = error.to_string();
                prop_assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
            }
        }
    }
}
