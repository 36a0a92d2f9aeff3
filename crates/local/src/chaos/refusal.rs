//! What chaos answers in the place of AWS.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// Too much at once: nothing was done.
pub(super) fn throttling() -> Response<Bytes> {
    refusal(400, "ThrottlingException", &Value::Null)
}

/// The service failed: nobody knows whether anything was done.
pub(super) fn failure() -> Response<Bytes> {
    refusal(500, "InternalServerError", &Value::Null)
}

pub(super) fn is_transaction(request: &Request<Bytes>) -> bool {
    let target = request.headers().get("x-amz-target");
    target.is_some_and(|target| target.as_bytes().ends_with(b".TransactWriteItems"))
}

/// The refusal of a transaction whose first row another one is at work on.
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
