//! Refusals as the platform's responses.

use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::refusal::Refusal;
use portcullis_core::route::Requirement;
use web_sys::{Headers, Response, ResponseInit};

/// Answers a request that was refused for `denial`, and leaves a line in the log.
///
/// # Errors
///
/// [`worker::Error`] if the platform cannot make a response.
pub fn refuse(
    denial: Denial,
    need: Option<&Requirement>,
    request_id: &Id,
) -> worker::Result<Response> {
    let refusal = Refusal::new(denial, need, request_id);
    let headers = Headers::new()?;
    for (name, value) in &refusal.headers {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(refusal.status);
    init.set_headers(&headers);
    worker::console_log!(
        r#"{{"event":"refused","code":"{}","status":{},"request_id":"{request_id}"}}"#,
        denial.code(),
        refusal.status,
    );
    Ok(Response::new_with_opt_str_and_init(
        Some(&refusal.body),
        &init,
    )?)
}
