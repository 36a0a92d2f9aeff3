//! The endpoints of AWS and the credentials for it.

use portcullis_aws::client::Config;
use portcullis_aws::credentials::Credentials;
use portcullis_aws::dynamodb::table::Tables;
use portcullis_aws::endpoint::{Endpoint, Region};
use portcullis_aws::operation::Service;
use portcullis_core::secret::Secret;

use crate::config::variable::{Environment, Fault, plain_or_loopback, table_name, token_text};
use crate::settings::{PORTCULLIS_DYNAMODB_ENDPOINT, PORTCULLIS_STS_ENDPOINT};

fn endpoint(text: &str) -> Result<Endpoint, Fault> {
    let fault = Fault::Invalid;
    let text = plain_or_loopback(text)?;
    Endpoint::parse(&text).map_err(|_| fault)
}

/// The configured endpoint of STS.
pub(super) fn sts(env: &mut Environment<'_>) -> Option<Endpoint> {
    env.optional(PORTCULLIS_STS_ENDPOINT, endpoint)
}

/// The endpoint at which STS identifies the credentials: the configured one, else the region's.
/// None if DynamoDB is on this machine: its credentials belong to no AWS account.
pub(super) fn sts_or_region(configured: Option<Endpoint>, aws: &Config) -> Option<Endpoint> {
    configured.or_else(|| {
        let region = &aws.region;
        let is_local = aws.dynamodb.is_loopback();
        (!is_local).then(|| Endpoint::of_sts(region).ok()).flatten()
    })
}

pub(super) fn services(env: &mut Environment<'_>) -> Option<Config> {
    let region = env.required("AWS_REGION", |text| {
        let fault = Fault::Invalid;
        Region::parse(text).map_err(|_| fault)
    });
    let dynamodb = env.optional(PORTCULLIS_DYNAMODB_ENDPOINT, endpoint);
    let secrets_manager = env.optional("PORTCULLIS_SECRETS_ENDPOINT", endpoint);
    let main = env.optional("PORTCULLIS_TABLE", table_name);
    let blacklist = env.optional("PORTCULLIS_BLACKLIST_TABLE", table_name);

    let region = region?;
    let usual = Tables::default();
    Some(Config {
        dynamodb: dynamodb.or_else(|| Endpoint::of(Service::DynamoDb, &region).ok())?,
        secrets_manager: secrets_manager
            .or_else(|| Endpoint::of(Service::SecretsManager, &region).ok())?,
        tables: Tables {
            main: main.unwrap_or(usual.main),
            blacklist: blacklist.unwrap_or(usual.blacklist),
        },
        region,
    })
}

pub(super) fn credentials(env: &mut Environment<'_>) -> Option<Credentials> {
    let key_id = env.required("AWS_ACCESS_KEY_ID", token_text);
    // SECURITY: a value copied with a line break never signs a valid request. It fails at start.
    let secret = env.required("AWS_SECRET_ACCESS_KEY", secret_word);
    let session = env.optional("AWS_SESSION_TOKEN", secret_word);
    let credentials = Credentials::new(key_id?, secret?);
    Some(match session {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    })
}

/// Parses a secret of visible ASCII characters, without white space.
fn secret_word(text: &str) -> Result<Secret<String>, Fault> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic());
    let fault = Fault::Invalid;
    fits.then(|| Secret::new(text.to_owned())).ok_or(fault)
}
