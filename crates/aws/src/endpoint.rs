//! The endpoint of a service: derived from its region, or a configured address.

use core::fmt;

use http::Uri;
use http::uri::Scheme;
use portcullis_core::transport_security::is_protected;
use thiserror::Error;

use crate::operation::Service;

/// A region of AWS, for example `eu-central-1`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Region(String);

/// The text is not a region. Reports the rule, never the text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a region consists of lower-case letters, digits and hyphens, at most 40 characters")]
pub struct RegionError;

impl Region {
    /// Parses the name of a region.
    ///
    /// # Errors
    ///
    /// [`RegionError`] if the text is invalid in a host name.
    pub fn parse(text: &str) -> Result<Self, RegionError> {
        let is_label = (1..=40).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label {
            Ok(Self(text.to_owned()))
        } else {
            Err(RegionError)
        }
    }

    /// The region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The endpoint of a service: scheme, host and port.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint(Uri);

/// The text is not an endpoint. Reports the rule, never the text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum EndpointError {
    /// The text is not an absolute URL.
    #[error(
        "an endpoint is an absolute address such as https://dynamodb.eu-central-1.amazonaws.com"
    )]
    NotAbsolute,
    /// The scheme is neither `http` nor `https`.
    #[error("an endpoint needs the scheme http or https")]
    Scheme,
    /// The URL contains a user name, a path or a query.
    #[error("an endpoint has a scheme, a host and a port, and nothing else")]
    TooMuch,
    /// The requests would leave the machine without TLS.
    #[error("an endpoint needs https, unless its host is a loopback address")]
    Unprotected,
}

impl Endpoint {
    /// Parses an address such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] for the first rule that `text` violates.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|_uri| EndpointError::NotAbsolute)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotAbsolute);
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(EndpointError::Scheme);
        }
        let bare = uri.path() == "/" && uri.query().is_none() && !text.contains('#');
        if authority.as_str().contains('@') || !bare {
            return Err(EndpointError::TooMuch);
        }
        // SECURITY: the requests contain tokens' claims, signatures and session tokens. RFC 6750
        // §5.3 requires TLS for them.
        if !is_protected(scheme.as_str(), authority.host()) {
            return Err(EndpointError::Unprotected);
        }
        Ok(Self(uri))
    }

    /// The public endpoint of `service` in `region`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::NotAbsolute`] if the region is invalid in a host name.
    pub fn of(service: Service, region: &Region) -> Result<Self, EndpointError> {
        Self::named(service.signing_name(), region)
    }

    /// The public SES endpoint in `region`.
    ///
    /// # Errors
    ///
    /// See [`Endpoint::of`].
    pub fn of_ses(region: &Region) -> Result<Self, EndpointError> {
        Self::named("email", region)
    }

    /// The public STS endpoint in `region`.
    ///
    /// # Errors
    ///
    /// See [`Endpoint::of`].
    pub fn of_sts(region: &Region) -> Result<Self, EndpointError> {
        Self::named("sts", region)
    }

    /// Whether requests to this endpoint stay on the machine.
    pub fn is_loopback(&self) -> bool {
        // Without TLS, loopback addresses alone are protected.
        self.0.host().is_some_and(|host| is_protected("http", host))
    }

    fn named(service: &str, region: &Region) -> Result<Self, EndpointError> {
        let region = region.as_str();
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        Self::parse(&format!("https://{service}.{region}.{suffix}"))
    }

    pub(crate) const fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_determines_its_endpoints() {
        let frankfurt = Region::parse("eu-central-1").unwrap();
        assert_eq!(
            Endpoint::of(Service::DynamoDb, &frankfurt)
                .unwrap()
                .to_string(),
            "https://dynamodb.eu-central-1.amazonaws.com/"
        );
        let beijing = Region::parse("cn-north-1").unwrap();
        assert_eq!(
            Endpoint::of(Service::SecretsManager, &beijing)
                .unwrap()
                .to_string(),
            "https://secretsmanager.cn-north-1.amazonaws.com.cn/"
        );
    }

    #[test]
    fn an_endpoint_on_loopback_is_recognised_with_and_without_tls() {
        for (text, expected) in [
            ("http://127.0.0.1:8000", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:8000", true),
            ("https://localhost:1", true),
            ("https://10.0.0.1", false),
            ("https://127.0.0.1.evil.example", false),
            ("https://sts.eu-central-1.amazonaws.com", false),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn a_region_with_characters_that_change_the_host_is_rejected() {
        for text in [
            "",
            "eu.central",
            "evil.example/",
            "EU-central-1",
            "-a",
            "a-",
            &"a".repeat(41),
        ] {
            assert_eq!(Region::parse(text), Err(RegionError), "{text}");
        }
    }

    #[test]
    fn an_endpoint_has_only_scheme_host_and_port() {
        assert_eq!(
            Endpoint::parse("http://127.0.0.1:8000").unwrap(),
            Endpoint::parse("http://127.0.0.1:8000/").unwrap()
        );
        for (text, error) in [
            ("127.0.0.1:8000", EndpointError::NotAbsolute),
            ("/", EndpointError::NotAbsolute),
            ("", EndpointError::NotAbsolute),
            ("ftp://127.0.0.1/", EndpointError::Scheme),
            ("http://user@127.0.0.1/", EndpointError::TooMuch),
            ("http://127.0.0.1/path", EndpointError::TooMuch),
            ("http://127.0.0.1/?query", EndpointError::TooMuch),
            ("http://127.0.0.1/#fragment", EndpointError::TooMuch),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_endpoint_without_tls_is_accepted_on_loopback_only() {
        for accepted in [
            "https://origin.example",
            "HTTPS://ORIGIN.EXAMPLE:8443/",
            "https://10.0.0.1",
            "http://127.0.0.1",
            "http://127.255.255.255:65535",
            "HTTP://127.0.0.1:8789/",
            "http://localhost:8000",
            "http://LOCALHOST",
            "http://[::1]:8000",
            "http://[::1]",
        ] {
            assert!(Endpoint::parse(accepted).is_ok(), "{accepted}");
        }
        for (text, error) in [
            ("http://origin.example", EndpointError::Unprotected),
            ("HTTP://ORIGIN.EXAMPLE", EndpointError::Unprotected),
            ("http://10.0.0.1:8000", EndpointError::Unprotected),
            ("http://128.0.0.1", EndpointError::Unprotected),
            ("http://0.0.0.0", EndpointError::Unprotected),
            ("http://127.1", EndpointError::Unprotected),
            ("http://127.0.0.1.evil.example", EndpointError::Unprotected),
            (
                "http://localhost.evil.example:80",
                EndpointError::Unprotected,
            ),
            ("http://[::2]:8000", EndpointError::Unprotected),
            ("http://[::ffff:127.0.0.1]", EndpointError::Unprotected),
            ("http://127.0.0.1@evil.example", EndpointError::TooMuch),
            ("http://127.0.0.1:80@evil.example", EndpointError::TooMuch),
            ("http://evil.example#@127.0.0.1", EndpointError::TooMuch),
            ("http://evil.example/@127.0.0.1", EndpointError::TooMuch),
            (
                "http://127.0.0.1\\@evil.example",
                EndpointError::NotAbsolute,
            ),
            ("http://127.0.0.1 .evil.example", EndpointError::NotAbsolute),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text}");
        }
    }
}
