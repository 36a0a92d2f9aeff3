//! The source of requests: Lambda, by the variables that it sets, or a socket.

use core::net::SocketAddr;

use http::uri::Authority;

use crate::config::variable::{Environment, Fault};

/// The source of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenMode {
    /// The Lambda Runtime API.
    Lambda,
    /// A socket.
    Socket(SocketAddr),
}

pub(super) fn entrance(env: &mut Environment<'_>) -> Option<ListenMode> {
    if env.has("AWS_LAMBDA_RUNTIME_API") {
        // Lambda sets all of these. Its runtime library panics if one is invalid.
        let api = env.required("AWS_LAMBDA_RUNTIME_API", |text| {
            let fault = Fault::Invalid;
            text.parse::<Authority>().map_err(|_| fault)
        });
        let name = env.required("AWS_LAMBDA_FUNCTION_NAME", |text| Ok(text.to_owned()));
        let version = env.required("AWS_LAMBDA_FUNCTION_VERSION", |text| Ok(text.to_owned()));
        let memory = env.required("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", |text| {
            text.parse::<i32>().map_err(|_| Fault::Invalid)
        });
        return api
            .and(name)
            .and(version)
            .and(memory)
            .map(|_| ListenMode::Lambda);
    }
    env.required("PORTCULLIS_LISTEN", |text| {
        let fault = Fault::Invalid;
        text.parse().map_err(|_| fault)
    })
    .map(ListenMode::Socket)
}
