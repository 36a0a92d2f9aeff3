//! One signed call: sends the request, reads the response and retries where that is safe.

use core::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use portcullis_core::breaker::{BreakerPermit, BreakerState, CallOutcome, Permit};
use portcullis_core::json::Json;
use portcullis_core::time::UnixTime;

use crate::breakers::{Breakers, CallStats, MAX_POLLS, POLL_INTERVAL, outcome};
use crate::capacity::{Consumed, Meter};
use crate::credentials::{CredentialSource, Credentials};
use crate::dependency::Dependency;
use crate::dynamodb::table::Tables;
use crate::endpoint::{Endpoint, EndpointError, Region};
use crate::error::CallError;
use crate::headers::TARGET;
use crate::operation::{Effect, Operation, Service};
use crate::response_body::{self, ResponseBody};
use crate::retry::{ATTEMPTS, delay, may_repeat};
use crate::sign::{CredentialScope, SigV4Error, sign};
use crate::transport::Transport;

/// The endpoints and table names of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region in the credential scope of signatures.
    pub region: Region,
    /// The endpoint of DynamoDB.
    pub dynamodb: Endpoint,
    /// The endpoint of Secrets Manager.
    pub secrets_manager: Endpoint,
    /// The names of the tables.
    pub tables: Tables,
}

impl Config {
    /// The public endpoints of `region` and the default table names.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if `region` is invalid in a host name.
    pub fn of(region: Region) -> Result<Self, EndpointError> {
        Ok(Self {
            dynamodb: Endpoint::of(Service::DynamoDb, &region)?,
            secrets_manager: Endpoint::of(Service::SecretsManager, &region)?,
            tables: Tables::default(),
            region,
        })
    }
}

/// One call, before it is signed.
#[derive(Clone)]
pub struct ApiCall {
    operation: Operation,
    body: ResponseBody,
}

impl ApiCall {
    /// A call of `operation` with an empty body.
    pub fn new(operation: Operation) -> Self {
        let mut call = Self {
            operation,
            body: ResponseBody::default(),
        };
        if operation.service() == Service::DynamoDb {
            call.body.insert("ReturnConsumedCapacity", "TOTAL");
        }
        call
    }

    /// The call with one more member in its body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.body.insert(name, value);
        self
    }

    /// The operation of this call.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether the call is idempotent, or a repetition fails its condition: it reads, or it carries
    /// a condition or a token.
    pub fn is_repeatable(&self) -> bool {
        match self.operation.effect() {
            Effect::Read => true,
            Effect::Write => {
                self.body.contains_key("ConditionExpression")
                    || self.body.contains_key("ClientRequestToken")
            }
        }
    }

    fn to_body(&self) -> Bytes {
        self.body.to_string().into()
    }
}

// SECURITY: a body holds rows and secrets.
impl core::fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Call({})", self.operation.as_str())
    }
}

/// Calls DynamoDB and Secrets Manager over one transport. It lives as long as its adapter, so that
/// connections are reused and capacity adds up. Each call gets the time as a parameter.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    credentials: CredentialSource,
    config: Config,
    meter: Meter,
    breakers: Breakers,
    random: AtomicU64,
}

impl<T> Client<T> {
    /// Creates a client. `seed` comes from the adapter's random source and adds jitter to the delay
    /// between retries, so that many hosts do not retry at the same moment.
    pub fn new(transport: T, credentials: Credentials, config: Config, seed: u64) -> Self {
        Self {
            transport,
            credentials: CredentialSource::new(credentials),
            config,
            meter: Meter::default(),
            breakers: Breakers::default(),
            random: AtomicU64::new(seed),
        }
    }

    /// The current credentials. An adapter replaces them through this source on rotation.
    pub const fn credentials(&self) -> &CredentialSource {
        &self.credentials
    }

    /// The names of the tables.
    pub const fn tables(&self) -> &Tables {
        &self.config.tables
    }

    /// The capacity units consumed by all calls so far.
    pub fn consumed(&self) -> Consumed {
        self.meter.reading()
    }

    /// The breaker state of the dependency `dependency`, and its statistics so far.
    pub fn state(&self, dependency: Dependency) -> (BreakerState, CallStats) {
        self.breakers.of(dependency).state()
    }

    /// The first half of a call: creates the signed request, ready to be sent. Pure except for the
    /// current credentials.
    ///
    /// # Errors
    ///
    /// [`SigV4Error`] if the request cannot be signed at `now`.
    pub fn request(&self, call: &ApiCall, now: UnixTime) -> Result<Request<Bytes>, SigV4Error> {
        let operation = call.operation;
        let service = operation.service();
        let endpoint = match service {
            Service::DynamoDb => &self.config.dynamodb,
            Service::SecretsManager => &self.config.secrets_manager,
        };
        let mut request = Request::new(call.to_body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, service.content_type());
        headers.insert(TARGET, operation.target());
        self.sign(&mut request, service.signing_name(), now)?;
        Ok(request)
    }

    /// Signs a request to any service of the region.
    pub(crate) fn sign(
        &self,
        request: &mut Request<Bytes>,
        service: &str,
        now: UnixTime,
    ) -> Result<(), SigV4Error> {
        let scope = CredentialScope {
            service,
            region: self.config.region.as_str(),
        };
        sign(request, scope, &self.credentials.current(), now)?;
        // The header is not signed, because proxies rewrite it. It is needed, because the checksum
        // covers the bytes as sent.
        request
            .headers_mut()
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(())
    }

    /// The transport of this client.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    fn random(&self) -> u64 {
        splitmix(self.random.fetch_add(GOLDEN, Ordering::Relaxed))
    }
}

impl<T: Transport> Client<T> {
    /// Sends `call`, signed at `now`, and reads its response. Makes up to [`ATTEMPTS`] attempts
    /// where a retry is safe and the breaker is closed.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the last attempt. If [`CallError::may_have_executed`] is true, the write
    /// may have taken effect.
    pub async fn call(&self, call: &ApiCall, now: UnixTime) -> Result<ResponseBody, CallError> {
        let dependency = Dependency::from(call.operation.service());
        let mut permit = self.permit(dependency).await?;
        let mut tries = 1;
        loop {
            let tried = self.attempt(call, now).await;
            let repeat = tries < ATTEMPTS
                && tried
                    .as_ref()
                    .is_err_and(|error| may_repeat(error, call.is_repeatable()));
            let ending = match &tried {
                Ok(_) => Some(CallOutcome::Answered),
                Err(error) => outcome(error),
            };
            if let Some(ending) = ending {
                self.record(dependency, permit, ending);
            }
            if !repeat {
                return tried;
            }
            self.pause(tries).await;
            // An open breaker must not hide that the previous attempt may have executed.
            let Ok(next) = self.permit(dependency).await else {
                return tried;
            };
            permit = next;
            tries = tries.saturating_add(1);
        }
    }

    /// Sends `request` once if the breaker of `dependency` permits it. `is_well` decides whether the
    /// response counts as success.
    ///
    /// # Errors
    ///
    /// [`CallError::Transport`] or [`CallError::Open`].
    pub(crate) async fn send(
        &self,
        dependency: Dependency,
        request: Request<Bytes>,
        is_well: impl FnOnce(&Response<Bytes>) -> bool,
    ) -> Result<Response<Bytes>, CallError> {
        let permit = self.permit(dependency).await?;
        let sent = self.transport.send(request).await;
        let ending = if sent.as_ref().is_ok_and(is_well) {
            CallOutcome::Answered
        } else {
            CallOutcome::Failed
        };
        self.record(dependency, permit, ending);
        Ok(sent?)
    }

    /// Acquires a permit from the breaker; waits briefly for the result of a running probe.
    async fn permit(&self, dependency: Dependency) -> Result<Permit, CallError> {
        for _ in 0..MAX_POLLS {
            let (admission, changed) = self.breakers.of(dependency).admit(self.transport.elapsed());
            self.on_breaker_change(dependency, changed);
            match admission {
                BreakerPermit::Pass(permit) => return Ok(permit),
                BreakerPermit::Wait => self.transport.sleep(POLL_INTERVAL).await,
                BreakerPermit::Refuse => break,
            }
        }
        self.breakers.of(dependency).refused();
        Err(CallError::Open)
    }

    fn record(&self, dependency: Dependency, permit: Permit, ending: CallOutcome) {
        let (now, random) = (self.transport.elapsed(), self.random());
        let changed = self
            .breakers
            .of(dependency)
            .record(permit, ending, now, random);
        self.on_breaker_change(dependency, changed);
    }

    fn on_breaker_change(&self, dependency: Dependency, changed: Option<BreakerState>) {
        if let Some(standing) = changed {
            self.transport.on_breaker_change(dependency, standing);
        }
    }

    /// Waits for a random delay before retry number `retry`.
    pub(crate) async fn pause(&self, retry: u32) {
        self.transport.sleep(delay(retry, self.random())).await;
    }

    async fn attempt(&self, call: &ApiCall, now: UnixTime) -> Result<ResponseBody, CallError> {
        let request = self.request(call, now)?;
        let response = self.transport.send(request).await?;
        let body = response_body::read(response)?;
        self.meter.count(call.operation.effect(), &body);
        Ok(body)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood 2014): sufficient for jitter, and used only for that.
const fn splitmix(state: u64) -> u64 {
    let z = state.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;

    use super::*;
    use crate::error_code::ErrorCode;
    use crate::script::{NOON, ScriptedTransport, client, response};
    use crate::transport::TransportError;

    fn throttled() -> Result<Response<Bytes>, TransportError> {
        response(400, r#"{"__type":"x#ThrottlingException"}"#)
    }

    fn plain_put() -> ApiCall {
        ApiCall::new(Operation::PutItem).with("TableName", "t")
    }

    fn sent(client: &Client<ScriptedTransport>) -> usize {
        client.transport().requests().len()
    }

    #[test]
    fn a_request_signs_all_headers_but_accept_encoding() {
        let client = client([]);
        let call = ApiCall::new(Operation::GetItem).with("TableName", "t");
        let request = client.request(&call, NOON).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.uri(),
            "https://dynamodb.eu-central-1.amazonaws.com/"
        );
        let headers = request.headers();
        assert_eq!(headers["x-amz-target"], "DynamoDB_20120810.GetItem");
        assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
        assert_eq!(headers["accept-encoding"], "identity");
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(
            authorization.contains(
                "/20150830/eu-central-1/dynamodb/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            ),
            "{authorization}"
        );
        assert_eq!(
            request.body(),
            r#"{"ReturnConsumedCapacity":"TOTAL","TableName":"t"}"#
        );
    }

    #[test]
    fn a_secrets_manager_request_uses_json_1_1() {
        let call = ApiCall::new(Operation::GetSecretValue).with("SecretId", "signing");
        let request = client([]).request(&call, NOON).unwrap();
        assert_eq!(
            request.uri(),
            "https://secretsmanager.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            request.headers()["content-type"],
            "application/x-amz-json-1.1"
        );
        assert_eq!(request.body(), r#"{"SecretId":"signing"}"#);
    }

    #[tokio::test]
    async fn rotated_credentials_sign_the_next_request() {
        let client = client([response(200, "{}"), response(200, "{}")]);
        client.call(&plain_put(), NOON).await.unwrap();
        client.credentials().replace(
            Credentials::new("AKIDNEXT", Secret::new("other".to_owned()))
                .with_session_token(Secret::new("session".to_owned())),
        );
        client.call(&plain_put(), NOON).await.unwrap();
        let requests = client.transport().requests();
        let header = |n: usize, name: &str| {
            let value = requests[n].headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert!(header(0, "authorization").unwrap().contains("AKIDEXAMPLE"));
        assert!(header(1, "authorization").unwrap().contains("AKIDNEXT"));
        assert_eq!(header(0, "x-amz-security-token"), None);
        assert_eq!(
            header(1, "x-amz-security-token").as_deref(),
            Some("session")
        );
    }

    #[tokio::test]
    async fn a_throttled_call_is_sent_at_most_three_times() {
        let lucky = client([throttled(), throttled(), response(200, "{}")]);
        assert!(lucky.call(&plain_put(), NOON).await.is_ok());
        assert_eq!(lucky.transport().sleeps().len(), 2);

        let unlucky = client([throttled(), throttled(), throttled()]);
        let error = unlucky.call(&plain_put(), NOON).await.unwrap_err();
        assert_eq!(error.refusal().unwrap().code(), &ErrorCode::Throttling);
        assert_eq!(sent(&unlucky), 3);
        assert_eq!(unlucky.transport().sleeps().len(), 2);
    }

    #[tokio::test]
    async fn a_write_with_a_lost_response_is_retried_only_with_a_condition_or_a_token() {
        let lost = || client([Err(TransportError::Timeout), response(200, "{}")]);
        let bare = lost();
        assert!(bare.call(&plain_put(), NOON).await.is_err());
        assert_eq!(sent(&bare), 1);
        for guard in ["ConditionExpression", "ClientRequestToken"] {
            let guarded = lost();
            let call = plain_put().with(guard, "x");
            assert!(guarded.call(&call, NOON).await.is_ok());
            let requests = guarded.transport().requests();
            assert_eq!(requests[0].body(), requests[1].body(), "{guard}");
        }
        let read = lost();
        assert!(
            read.call(&ApiCall::new(Operation::GetItem), NOON)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let client = client([response(307, "{}")]);
        assert!(client.call(&plain_put(), NOON).await.is_err());
        assert_eq!(sent(&client), 1);
    }

    #[tokio::test]
    async fn read_and_write_capacity_are_counted_separately() {
        let cost = r#"{"ConsumedCapacity":{"CapacityUnits":0.5}}"#;
        let client = client([
            response(200, cost),
            response(200, cost),
            response(200, cost),
        ]);
        let get = ApiCall::new(Operation::GetItem);
        client.call(&get, NOON).await.unwrap();
        let earlier = client.consumed();
        client.call(&get, NOON).await.unwrap();
        client.call(&plain_put(), NOON).await.unwrap();
        assert_eq!(client.consumed().read_halves, 2);
        let since = client.consumed().since(earlier);
        assert_eq!((since.read_halves, since.write_halves), (1, 1));
    }

    #[test]
    fn jitter_values_differ_and_debug_prints_no_secret() {
        let client = client([]);
        assert_ne!(client.random(), client.random());
        // The first output of SplitMix64 seeded with 0, from its reference implementation.
        assert_eq!(splitmix(0), 0xe220_a839_7b1d_cdaf);
        let call = plain_put().with("SecretString", "hunter2");
        assert_eq!(format!("{call:?}"), "Call(PutItem)");
        assert!(!format!("{client:?}").contains("\"secret\""));
    }

    fn refused() -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::Connect("refused".into()))
    }

    fn get() -> ApiCall {
        ApiCall::new(Operation::GetItem)
    }

    /// A client with a DynamoDB breaker that has just opened.
    async fn given_up() -> Client<ScriptedTransport> {
        let client = client((0..5).map(|_| Err(TransportError::Timeout)));
        assert!(client.call(&get(), NOON).await.is_err());
        let last = client.call(&get(), NOON).await.unwrap_err();
        assert!(
            matches!(last, CallError::Transport(TransportError::Timeout)),
            "the open breaker hides that the write may have executed: {last}"
        );
        assert_eq!(sent(&client), 5);
        client
    }

    #[tokio::test]
    async fn an_open_breaker_rejects_calls_without_sending() {
        let client = given_up().await;
        for _ in 0..10 {
            let error = client.call(&get(), NOON).await.unwrap_err();
            assert!(matches!(error, CallError::Open));
            assert!(!error.may_have_executed());
        }
        assert_eq!(sent(&client), 5, "no further request was sent");
        let (state, stats) = client.state(Dependency::DynamoDb);
        assert_eq!(state, BreakerState::Open);
        assert_eq!((stats.sent, stats.failed, stats.refused), (5, 5, 11));
        // The other service has its own breaker.
        client.transport().then([response(200, "{}")]);
        let secret = ApiCall::new(Operation::GetSecretValue);
        assert!(client.call(&secret, NOON).await.is_ok());
    }

    #[tokio::test]
    async fn an_open_breaker_sends_one_probe_per_interval_and_one_response_closes_it() {
        let client = given_up().await;
        let interval = portcullis_core::breaker::BreakerConfig::DEFAULT.interval;
        client.transport().pass(interval);
        client.transport().then([refused()]);
        assert!(client.call(&get(), NOON).await.is_err());
        assert_eq!(sent(&client), 6, "a failed probe is not retried");
        client.transport().pass(interval);
        client
            .transport()
            .then([response(200, "{}"), response(200, "{}")]);
        assert!(client.call(&get(), NOON).await.is_ok());
        assert!(client.call(&get(), NOON).await.is_ok());
        let standings = [
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Closed,
        ];
        assert_eq!(
            client.transport().notices(),
            standings.map(|standing| (Dependency::DynamoDb, standing))
        );
    }

    #[tokio::test]
    async fn a_refusal_by_the_service_does_not_open_the_breaker() {
        for body in [
            r#"{"__type":"x#ConditionalCheckFailedException"}"#,
            r#"{"__type":"x#ValidationException"}"#,
            r#"{"__type":"x#AccessDeniedException"}"#,
            r#"{"__type":"x#ResourceNotFoundException"}"#,
        ] {
            let client = client((0..20).map(|_| response(400, body)));
            for _ in 0..20 {
                let error = client.call(&get(), NOON).await.unwrap_err();
                assert!(error.refusal().is_some(), "{body}");
            }
            assert_eq!(client.state(Dependency::DynamoDb).0, BreakerState::Closed);
        }
    }

    #[tokio::test]
    async fn throttling_is_retried_and_does_not_open_the_breaker() {
        let client = client((0..60).map(|_| throttled()));
        for call in 1..=20 {
            assert!(client.call(&get(), NOON).await.is_err(), "{call}");
        }
        assert_eq!(sent(&client), 60);
        let (state, stats) = client.state(Dependency::DynamoDb);
        assert_eq!((state, stats.failed), (BreakerState::Closed, 0));
    }

    #[tokio::test]
    async fn a_throttled_probe_closes_the_breaker() {
        let client = given_up().await;
        client
            .transport()
            .pass(portcullis_core::breaker::BreakerConfig::DEFAULT.interval);
        client
            .transport()
            .then([throttled(), throttled(), response(200, "{}")]);
        assert!(client.call(&get(), NOON).await.is_ok());
        assert_eq!(client.state(Dependency::DynamoDb).0, BreakerState::Closed);
    }

    #[tokio::test]
    async fn timeouts_of_writes_open_the_breaker_despite_successful_reads() {
        let client = client([]);
        for round in 1..=9 {
            assert_eq!(
                client.state(Dependency::DynamoDb).0,
                BreakerState::Closed,
                "{round}"
            );
            client
                .transport()
                .then([response(200, "{}"), Err(TransportError::Timeout)]);
            assert!(client.call(&get(), NOON).await.is_ok());
            assert!(client.call(&plain_put(), NOON).await.is_err());
        }
        assert_eq!(client.state(Dependency::DynamoDb).0, BreakerState::Open);
    }
}
