//! Chaos as a server in front of the local services.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;
use tokio::net::TcpListener;

use super::Chaos;
use crate::wire::{self, Answer, WireClient};

/// The target services of calls.
#[derive(Clone, Copy, Debug)]
pub struct Upstreams {
    /// DynamoDB.
    pub dynamodb: SocketAddr,
    /// Secrets Manager, if chaos also proxies it.
    pub secrets: Option<SocketAddr>,
}

impl Upstreams {
    /// The target service of `request`.
    fn of(&self, request: &Request<Bytes>) -> SocketAddr {
        let target = request.headers().get("x-amz-target");
        let is_secret =
            target.is_some_and(|target| target.as_bytes().starts_with(b"secretsmanager."));
        let secrets = self.secrets.filter(|_| is_secret);
        secrets.unwrap_or(self.dynamodb)
    }
}

/// Proxies `upstreams` until `end` resolves. `GET /chaos` returns the fault counts,
/// `POST /chaos/stop` and `POST /chaos/start` disable and enable faults.
///
/// # Errors
///
/// Currently none: a failing connection affects only itself.
pub async fn serve(
    listener: TcpListener,
    upstreams: Upstreams,
    chaos: Arc<Chaos>,
    end: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let client = WireClient::default();
    let answering = wire::serve(listener, move |request: Request<Bytes>| {
        let (chaos, client) = (Arc::clone(&chaos), client.clone());
        async move {
            if let Some(answer) = reported(&chaos, &request) {
                return Answer::Whole(answer);
            }
            chaos
                .pass(request, |request| {
                    client.send(upstreams.of(&request), request)
                })
                .await
        }
    });
    tokio::select! {
        () = answering => {}
        () = end => {}
    }
    Ok(())
}

/// The response to a request for chaos itself.
fn reported(chaos: &Chaos, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/chaos") => {}
        (&Method::POST, "/chaos/stop") => chaos.set_calm(true),
        (&Method::POST, "/chaos/start") => chaos.set_calm(false),
        _ => return None,
    }
    Some(Response::new(json!(chaos.counts()).to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_forwarded_to_its_target_service() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let both = Upstreams {
            dynamodb: at(1),
            secrets: Some(at(2)),
        };
        let alone = Upstreams {
            secrets: None,
            ..both
        };
        for (target, expected) in [
            ("DynamoDB_20120810.GetItem", [1, 1]),
            ("secretsmanager.GetSecretValue", [2, 1]),
        ] {
            let request = Request::post("/").header("x-amz-target", target);
            let request = request.body(Bytes::new()).unwrap();
            let ports = [both, alone].map(|upstreams| upstreams.of(&request).port());
            assert_eq!(ports, expected, "{target}");
        }
    }
}
