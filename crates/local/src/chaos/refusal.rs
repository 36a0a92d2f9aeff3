//! The error responses that chaos sends in place of AWS.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// Throttled: nothing was executed.
pub(super) fn throttling() -> Response<Bytes> {
    refusal(400, "ThrottlingException", &Value::Null)
}

/// A server failure: it is unknown whether the request was executed.
pub(super) fn failure() -> Response<Bytes> {
    refusal(500, "InternalServerError", &Value::Null)
}

pub(super) fn is_transaction(request: &Request<Bytes>) -> bool {
    let target = request.headers().get("x-amz-target");
    target.is_some_and(|target| target.as_bytes().ends_with(b".TransactWriteItems"))
}

/// The rejection of a transaction because another one is changing its first row.
pub(super) fn conflict(request: &Request<Bytes>) -> Response<Bytes> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let rows = body["TransactItems"].as_array().map_or(1, Vec::len);
    let reason = |row| {
        let code = if row == 0 {
            "TransactionConflict"
        } else {
            "None"
        };
        json!({ "Code": code })
    };
    let reasons: Vec<Value> = (0..rows).map(reason).collect();
    refusal(400, "TransactionCanceledException", &json!(reasons))
}

fn refusal(status: u16, code: &str, reasons: &Value) -> Response<Bytes> {
    let mut body = json!({"__type": format!("com.amazonaws#{code}"), "message": "by chaos"});
    if !reasons.is_null() {
        body["CancellationReasons"] = reasons.clone();
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
}
