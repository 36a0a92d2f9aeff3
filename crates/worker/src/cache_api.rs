//! The platform's Cache API as the cache of immutable objects.

use core::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{ArrayBuffer, Function, Promise, Reflect, Uint8Array};
use portcullis_service::ports::ImmutableCache;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Headers, Response, ResponseInit};

use crate::clock::within;

/// A named cache of this Worker, separate from the one that serves requests: clients can neither
/// read nor write it, with any URL.
const CACHE: &str = "portcullis";

/// The timeout of one cache operation. On a timeout the store is read instead.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Caches closed minutes and packs in the data centre of the isolate. A missing or failing cache
/// behaves as an empty one.
#[derive(Clone, Debug)]
pub struct CacheApi {
    base: String,
}

impl CacheApi {
    /// The cache for one table. `table` separates it from every other table and deployment.
    pub fn new(table: &str) -> Self {
        // The `invalid` TLD is never a real host (RFC 6761 §6.4).
        let table = js_sys::encode_uri_component(table);
        Self {
            base: format!("https://portcullis.invalid/1/{table}/"),
        }
    }

    fn address(&self, name: &str) -> JsValue {
        format!("{}{name}", self.base).into()
    }
}

impl ImmutableCache for CacheApi {
    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        within(TIMEOUT, taken(&self.address(name)))
            .await?
            .ok()
            .flatten()
    }

    async fn put(&self, name: &str, bytes: &[u8], lifetime: Duration) {
        // A failed write is harmless: the next read is a miss.
        let _ = within(TIMEOUT, put(&self.address(name), bytes, lifetime)).await;
    }
}

async fn taken(address: &JsValue) -> Result<Option<Vec<u8>>, JsValue> {
    let answer = call("match", &[address]).await?;
    let Some(answer) = answer.dyn_ref::<Response>() else {
        return Ok(None);
    };
    let body: ArrayBuffer = JsFuture::from(answer.array_buffer()?)
        .await?
        .unchecked_into();
    Ok(Some(Uint8Array::new(&body).to_vec()))
}

async fn put(address: &JsValue, bytes: &[u8], lifetime: Duration) -> Result<(), JsValue> {
    let headers = Headers::new()?;
    headers.set("cache-control", &format!("max-age={}", lifetime.as_secs()))?;
    let init = ResponseInit::new();
    init.set_headers(&headers);
    let body = Uint8Array::from(bytes);
    let answer = Response::new_with_opt_buffer_source_and_init(Some(&body), &init)?;
    call("put", &[address, &answer]).await?;
    Ok(())
}

/// Calls a method of this cache. By name, because the `CacheStorage` bindings need a window.
async fn call(method: &str, arguments: &[&JsValue]) -> Result<JsValue, JsValue> {
    let caches = Reflect::get(&js_sys::global(), &"caches".into())?;
    let opened = invoke(&caches, "open", &[&CACHE.into()])?;
    let cache = JsFuture::from(opened).await?;
    JsFuture::from(invoke(&cache, method, arguments)?).await
}

fn invoke(object: &JsValue, method: &str, arguments: &[&JsValue]) -> Result<Promise, JsValue> {
    let function: Function = Reflect::get(object, &method.into())?.dyn_into()?;
    let arguments = arguments.iter().copied().collect();
    Reflect::apply(&function, object, &arguments)?.dyn_into()
}
