//! The platform's rate limit for each client, checked before all other work.
//!
//! It only sheds load: each admitted request is still verified, and the host has exact limits. So
//! it fails open.

use core::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Function, Object, Promise, Reflect};
use portcullis_core::denial::{Denial, RatePeriod};
use portcullis_core::limit::client::ClientNetwork;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;

use crate::clock::within;

/// The binding's name in `wrangler.toml` (`[[ratelimits]]`).
const BINDING: &str = "RATE_LIMIT";

/// The timeout of one count.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The shared key of all clients without an address from the platform.
const NOBODY: &str = "unknown";

/// Counts a request from `address`, as reported by the platform (`CF-Connecting-IP`). Without a
/// binding nothing is counted. A failing binding admits the request, and the failure is logged.
///
/// # Errors
///
/// [`Denial::RateLimited`], with a retry after `period`.
pub async fn check_rate(
    env: &Env,
    address: Option<&str>,
    period: RatePeriod,
) -> Result<(), Denial> {
    let network = address.and_then(ClientNetwork::parse);
    let key = network.map_or_else(|| NOBODY.to_owned(), key);
    match within(TIMEOUT, count(env, &key)).await {
        Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(Denial::RateLimited(period)),
        // A failing counter must not reject all clients.
        failed => {
            let name = match &failed {
                Some(Err(error)) => error
                    .dyn_ref::<js_sys::Error>()
                    .map_or_else(String::new, |error| error.name().into()),
                Some(Ok(_)) | None => "timeout".to_owned(),
            };
            worker::console_error!(
                r#"{{"event":"rate_limit_failed","reason":"{name}","effect":"not counted"}}"#
            );
            Ok(())
        }
    }
}

/// The octets that identify `network`, 4 or 8 of them. Its usual text form would be equivalent, and
/// costs 2 KB of wasm.
fn key(network: ClientNetwork) -> String {
    let mut key = String::new();
    for octet in network.octets() {
        key.push_str(&octet.to_string());
        key.push('.');
    }
    key
}

/// Whether one more request of `key` is within the limit.
// Called by name and without `worker::RateLimiter`, which checks the class name of the binding: an
// internal detail of the platform.
async fn count(env: &Env, key: &str) -> Result<bool, JsValue> {
    let binding = Reflect::get(env, &BINDING.into())?;
    if binding.is_undefined() {
        return Ok(true);
    }
    let limit: Function = Reflect::get(&binding, &"limit".into())?.dyn_into()?;
    let options = Object::new();
    Reflect::set(&options, &"key".into(), &key.into())?;
    let asked: Promise = limit.call1(&binding, &options)?.dyn_into()?;
    let outcome = JsFuture::from(asked).await?;
    let success = Reflect::get(&outcome, &"success".into())?;
    success
        .as_bool()
        .ok_or_else(|| js_sys::TypeError::new("success").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_rate_limit_key() {
        for (address, expected) in [
            ("203.0.113.7", "203.0.113.7."),
            ("2001:db8:1:2::7", "32.1.13.184.0.1.0.2."),
            ("2001:db8:1:3::7", "32.1.13.184.0.1.0.3."),
            // Differs from the IPv4 address with the same octets.
            ("cb00:7107::1", "203.0.113.7.0.0.0.0."),
        ] {
            let network = ClientNetwork::parse(address).expect("an address");
            assert_eq!(key(network), expected, "{address}");
        }
    }
}
