//! The result of one line.

use portcullis_core::json::Json;
use serde_json::value::RawValue;

/// `id` unchanged if it is a string or a number, else `null`.
pub(crate) fn id(given: Option<&RawValue>) -> &str {
    let text = given.map_or("null", RawValue::get);
    if text.starts_with(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        text
    } else {
        "null"
    }
}

/// `{"id":..,"result":"accept"}`.
pub(crate) fn accept(id: &str) -> String {
    format!(r#"{{"id":{id},"result":"accept"}}"#)
}

/// `{"id":..,"result":"reject","reason":".."}`.
pub(crate) fn reject(id: &str, reason: &str) -> String {
    let reason = Json::quote(reason);
    format!(r#"{{"id":{id},"result":"reject","reason":{reason}}}"#)
}
