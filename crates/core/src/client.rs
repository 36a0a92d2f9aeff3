//! Confidential clients: resource servers that introspect tokens ([RFC 6749 §2.1]).
//!
//! Client secrets are long and random, so a plain hash suffices at rest: a slow hash would protect
//! only guessable secrets.
//!
//! [RFC 6749 §2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.1

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::json::{Json, Object};
use crate::secret::Secret;

/// The maximum number of clients.
const MAX_CLIENTS: usize = 256;

/// The maximum length of a client's name and identifier, in characters.
const MAX_CHARACTERS: usize = 128;

/// The clients that the operator configured.
#[derive(Clone, Debug, Default)]
pub struct OAuthClients(Vec<OAuthClient>);

/// One client.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// The operator's name for it, for logs.
    pub name: String,
    secret_hash: [u8; 32],
}

/// The document is no valid list of clients. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum OAuthClientsError {
    /// The text is not a JSON array of objects with the three members.
    #[error(
        r#"clients are a JSON array: [{{"client_id": "..", "secret_sha256": "..", "name": ".."}}]"#
    )]
    Malformed,
    /// An identifier or a name is empty, too long or not printable, or an identifier occurs twice.
    #[error("each client has an id of its own and a name: 1 to 128 printable ASCII characters")]
    BadName,
    /// A hash is malformed.
    #[error("the SHA-256 of a client's secret is 64 hexadecimal digits")]
    BadHash,
    /// There are too many clients.
    #[error("there are at most 256 clients")]
    TooMany,
}

impl OAuthClients {
    /// Parses `[{"client_id", "secret_sha256", "name"}]`; the hash is the output of `sha256sum` for
    /// the secret without a line end.
    ///
    /// # Errors
    ///
    /// [`OAuthClientsError`].
    pub fn parse(document: &[u8]) -> Result<Self, OAuthClientsError> {
        let document = Json::parse(document).map_err(|_| OAuthClientsError::Malformed)?;
        let Json::Array(clients) = document else {
            return Err(OAuthClientsError::Malformed);
        };
        if clients.len() > MAX_CLIENTS {
            return Err(OAuthClientsError::TooMany);
        }
        let clients = clients
            .into_iter()
            .map(|client| {
                OAuthClient::read(client.into_object().ok_or(OAuthClientsError::Malformed)?)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<_> = clients.iter().map(|client| client.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(OAuthClientsError::BadName);
        }
        Ok(Self(clients))
    }

    /// The client `id`, if the secret is correct.
    // SECURITY: an unknown identifier is compared too, with a hash that no secret has (equal
    // timing).
    pub fn authenticate(&self, id: &str, secret: &Secret<String>) -> Option<&OAuthClient> {
        let hash: [u8; 32] = Sha256::digest(secret.expose().as_bytes()).into();
        let client = self.0.iter().find(|client| client.id == id);
        let kept = client.map_or(&[0; 32], |client| &client.secret_hash);
        let same = bool::from(kept.ct_eq(&hash));
        client.filter(|_| same)
    }

    /// Whether there is a client `id`.
    pub fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|client| client.id == id)
    }
}

impl OAuthClient {
    fn read(mut members: Object) -> Result<Self, OAuthClientsError> {
        let mut text = |name| match members.remove(name) {
            Some(Json::Text(text)) => Ok(text),
            _ => Err(OAuthClientsError::Malformed),
        };
        let (id, hash, name) = (text("client_id")?, text("secret_sha256")?, text("name")?);
        if !members.is_empty() {
            return Err(OAuthClientsError::Malformed);
        }
        let fits = |text: &str| {
            (1..=MAX_CHARACTERS).contains(&text.len())
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if !fits(&id) || !fits(&name) {
            return Err(OAuthClientsError::BadName);
        }
        Ok(Self {
            id,
            name,
            secret_hash: hex(&hash).ok_or(OAuthClientsError::BadHash)?,
        })
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: char| {
        digit
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let digits: Vec<u8> = text.chars().map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 64).then_some(bytes)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf orders-secret | sha256sum`.
    const HASH: &str = "363838865d67245f6045a510d660614ae477cd64df9f55f5c068b20a1536949a";

    fn one(id: &str, hash: &str, more: &str) -> String {
        format!(r#"{{"client_id":"{id}","secret_sha256":"{hash}","name":"Orders"{more}}}"#)
    }

    fn read(clients: &str) -> Result<OAuthClients, OAuthClientsError> {
        OAuthClients::parse(format!("[{clients}]").as_bytes())
    }

    #[test]
    fn a_client_authenticates_only_with_its_own_secret() {
        let clients = read(&one("orders", HASH, "")).expect("clients");
        let is = |id, secret: &str| {
            let known = clients.authenticate(id, &Secret::new(secret.to_owned()));
            known.map(|client| client.name.as_str())
        };
        assert_eq!(is("orders", "orders-secret"), Some("Orders"));
        assert_eq!(is("orders", "orders-secret "), None);
        assert_eq!(is("orders", ""), None);
        assert_eq!(is("Orders", "orders-secret"), None);
        assert!(clients.contains("orders") && !clients.contains("Orders"));
    }

    #[test]
    fn an_invalid_client_list_is_rejected_with_its_reason() {
        let good = one("a", HASH, "");
        let many = vec![good.as_str(); MAX_CLIENTS + 1].join(",");
        for (clients, error) in [
            ("1".to_owned(), OAuthClientsError::Malformed),
            (
                r#"{"client_id":"a"}"#.to_owned(),
                OAuthClientsError::Malformed,
            ),
            (one("a", HASH, r#","x":1"#), OAuthClientsError::Malformed),
            (one("", HASH, ""), OAuthClientsError::BadName),
            (one("ä", HASH, ""), OAuthClientsError::BadName),
            (one(&"a".repeat(129), HASH, ""), OAuthClientsError::BadName),
            (
                one("a", HASH.get(1..).expect("ASCII"), ""),
                OAuthClientsError::BadHash,
            ),
            (one("a", &"g".repeat(64), ""), OAuthClientsError::BadHash),
            (one("a", &"0".repeat(65), ""), OAuthClientsError::BadHash),
            (many, OAuthClientsError::TooMany),
            (format!("{good},{good}"), OAuthClientsError::BadName),
        ] {
            assert_eq!(read(&clients).map(|_| ()), Err(error), "{clients}");
        }
        for document in ["", "{}"] {
            let read = OAuthClients::parse(document.as_bytes()).map(|_| ());
            assert_eq!(read, Err(OAuthClientsError::Malformed));
        }
        assert!(read("").is_ok() && read(&good).is_ok());
    }
}
