//! Refusals as the platform's responses.

use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::refusal::DenialResponse;
use portcullis_core::route::Requirement;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

/// Answers a request that was refused for `denial`, and leaves a line in the log.
pub fn refuse(denial: Denial, requirement: Option<&Requirement>, request_id: &Id) -> Response {
    let refusal = DenialResponse::new(denial, requirement, request_id);
    worker::console_log!(
        r#"{{"event":"refused","code":"{}","status":{},"request_id":"{request_id}"}}"#,
        denial.code(),
        refusal.status,
    );
    // Our own status, names and values: the platform has no reason to refuse them, and if it
    // should, the request is refused all the same.
    response(&refusal).unwrap_or_else(|_| Response::error())
}

fn response(refusal: &DenialResponse) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &refusal.headers {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(refusal.status);
    init.set_headers(&headers);
    Response::new_with_opt_str_and_init(Some(&refusal.body), &init)
}
