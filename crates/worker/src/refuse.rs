//! Rejections as responses of the platform.

use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::refusal::DenialResponse;
use portcullis_core::route::Requirement;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

/// Creates the response for `denial` and logs it.
pub fn refuse(denial: Denial, requirement: Option<&Requirement>, request_id: &Id) -> Response {
    let refusal = DenialResponse::new(denial, requirement, request_id);
    worker::console_log!(
        r#"{{"event":"refused","code":"{}","status":{},"request_id":"{request_id}"}}"#,
        denial.code(),
        refusal.status,
    );
    // The status, names and values are constants, so the platform accepts them. If it ever fails,
    // the request is still rejected.
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
