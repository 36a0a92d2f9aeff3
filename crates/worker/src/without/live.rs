//! A build without WebSockets. `Config::read` rejects a route that allows them.

use std::rc::Rc;

use portcullis_core::id::Id;
use portcullis_core::route::Requirement;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use wasm_bindgen::JsValue;
use web_sys::Response;
use worker::Context;

use crate::isolate::Isolate;

/// The response unchanged: streams do not end with the token.
///
/// # Errors
///
/// None.
pub fn end_with_token(
    response: Response,
    _isolate: &Rc<Isolate>,
    _context: &Context,
    _requirement: Requirement,
    _caller: Verified<Claims>,
    _request_id: &Id,
) -> Result<Response, JsValue> {
    Ok(response)
}
