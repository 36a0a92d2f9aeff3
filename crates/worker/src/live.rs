//! Responses that can outlive the token of their request: they end with it.

use core::pin::pin;
use core::time::Duration;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::Promise;
use js_sys::futures::JsFuture;
use portcullis_core::id::Id;
use portcullis_core::route::Requirement;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_core::upgrade::CLOSE_CODE;
use portcullis_service::edge::authorize::until_denied;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{AbortController, Response};
use worker::Context;

use crate::edge_request::EdgeRequest;
use crate::isolate::Isolate;

/// The longest time of one check: a refresh that waits for another one.
const CHECK_TIME: Duration = Duration::from_secs(15);

// SECURITY: the script ends a response that is not checked again in time. A trap of this module ends
// its checks, and the platform may end the background work of a request.
#[wasm_bindgen(module = "/js/live.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn hold(
        response: &Response,
        controller: &AbortController,
        code: u16,
    ) -> Result<Option<Response>, JsValue>;
    #[wasm_bindgen(catch)]
    fn aborted(controller: &AbortController) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn renew(controller: &AbortController, seconds: u32) -> Result<(), JsValue>;
}

/// The response to send in place of `response`. It ends when a check of `caller` fails: at `exp` and
/// after a revocation.
///
/// # Errors
///
/// An error of the platform, such as for a length of the origin that is no number.
pub fn end_with_token(
    response: Response,
    isolate: &Rc<Isolate>,
    context: &Context,
    requirement: Requirement,
    caller: Verified<Claims>,
    request_id: &Id,
) -> Result<Response, JsValue> {
    let controller = AbortController::new()?;
    let Some(held) = hold(&response, &controller, CLOSE_CODE)? else {
        return Ok(response);
    };
    let ended = JsFuture::from(aborted(&controller)?);
    let isolate = Rc::clone(isolate);
    let own_context: &JsValue = context.as_ref().as_ref();
    let own_context = Context::new(own_context.clone().unchecked_into());
    let request_id = request_id.clone();
    context.wait_until(async move {
        let request = EdgeRequest {
            isolate,
            context: &own_context,
        };
        let before_wait = |wait: Duration| {
            let seconds = u32::try_from(wait.saturating_add(CHECK_TIME).as_secs());
            // Without a renewal the response ends.
            let _ = renew(&controller, seconds.unwrap_or_default());
        };
        let denied = pin!(until_denied(&request, requirement, &caller, before_wait));
        if let Either::Left((denial, _)) = select(denied, ended).await {
            worker::console_log!(
                r#"{{"event":"ended","code":"{}","request_id":"{request_id}"}}"#,
                denial.code(),
            );
            controller.abort();
        }
    });
    Ok(held)
}
