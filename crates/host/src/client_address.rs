//! The client's address: that of the connection, or the one that an edge in front reports.
//!
//! Behind CloudFront or Cloudflare every connection comes from the edge, and a header names the
//! client. Any client can send that header. It counts only beside a secret that the edge adds to
//! each request.

use core::net::{IpAddr, SocketAddr};

use http::HeaderName;
use http::header::HeaderMap;
use portcullis_core::secret::Secret;
use subtle::ConstantTimeEq as _;

/// CloudFront's own header, in which a port always follows the address.
const CLOUDFRONT: &str = "cloudfront-viewer-address";

/// The header with the secret.
const EDGE_SECRET_HEADER: &str = "x-portcullis-edge-secret";

/// The operator's choice of the source of the client's address.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AddressSource {
    /// The connection, or the source address in the Lambda event.
    #[default]
    Connection,
    /// A header of the edge.
    Header(HeaderName),
}

impl AddressSource {
    /// Reads `connection`, `cloudfront`, `cloudflare` or `header:<name>`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "connection" => Some(Self::Connection),
            "cloudfront" => Some(Self::Header(HeaderName::from_static(CLOUDFRONT))),
            "cloudflare" => Some(Self::Header(HeaderName::from_static("cf-connecting-ip"))),
            other => {
                let name = other.strip_prefix("header:")?.to_ascii_lowercase();
                let name = HeaderName::try_from(name).ok()?;
                // INVARIANT: a list that every hop extends identifies no client.
                (name != "x-forwarded-for" && name != EDGE_SECRET_HEADER)
                    .then_some(Self::Header(name))
            }
        }
    }
}

/// The edge in front of the host.
#[derive(Clone, Debug, Default)]
pub enum TrustedProxy {
    /// No trusted edge.
    #[default]
    Connection,
    /// An edge that names the client in `header` and authenticates by `secret`.
    Named {
        /// The header with the client's address.
        header: HeaderName,
        /// The secret that only the edge holds.
        secret: Secret<String>,
    },
}

impl TrustedProxy {
    /// The client's address: the edge's report if the request comes from the edge, else the address
    /// of the connection.
    pub fn client_address(&self, connection: String, headers: &HeaderMap) -> String {
        let Self::Named { header, secret } = self else {
            return connection;
        };
        // SECURITY: without the secret, any client could choose its own address.
        let shown = only(headers, EDGE_SECRET_HEADER).unwrap_or_default();
        if !bool::from(shown.as_bytes().ct_eq(secret.expose().as_bytes())) {
            return connection;
        }
        only(headers, header.as_str())
            .and_then(|text| read(text, *header == CLOUDFRONT))
            .map_or(connection, |address| address.to_string())
    }
}

/// The only value of a header; a second one may come from the client.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// Parses an address with an optional port. CloudFront writes an IPv6 address without brackets
/// before its port, so `2001:db8::7:443` is ambiguous without that knowledge.
fn read(text: &str, has_port: bool) -> Option<IpAddr> {
    let text = text.trim();
    let address = if has_port {
        let (address, port) = text.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        let bare = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'));
        bare.unwrap_or(address).parse().ok()
    } else {
        let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
        text.parse().ok().or_else(with_port)
    };
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn edge(source: &str) -> TrustedProxy {
        match AddressSource::parse(source).expect("a source") {
            AddressSource::Connection => TrustedProxy::Connection,
            AddressSource::Header(header) => TrustedProxy::Named {
                header,
                secret: Secret::new(SECRET.to_owned()),
            },
        }
    }

    fn reported(source: &str, sent: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        edge(source).client_address("192.0.2.1".to_owned(), &headers)
    }

    #[test]
    fn only_an_edge_with_the_secret_may_report_the_client_address() {
        const KNOWN: (&str, &str) = (EDGE_SECRET_HEADER, SECRET);
        const HEADER: &str = "cf-connecting-ip";
        let named = (HEADER, "203.0.113.7");
        assert_eq!(reported("cloudflare", &[KNOWN, named]), "203.0.113.7");
        assert_eq!(reported("connection", &[KNOWN, named]), "192.0.2.1");
        let wrong = (EDGE_SECRET_HEADER, "0123456789abcdef0123456789abcdeg");
        for sent in [
            &[named][..],
            &[wrong, named],
            &[(EDGE_SECRET_HEADER, ""), named],
            &[KNOWN, KNOWN, named],
            &[KNOWN],
            &[KNOWN, named, named],
            &[KNOWN, (HEADER, "evil")],
            &[KNOWN, (HEADER, "203.0.113.7, 203.0.113.8")],
            &[KNOWN, ("x-forwarded-for", "203.0.113.7")],
        ] {
            assert_eq!(reported("cloudflare", sent), "192.0.2.1", "{sent:?}");
        }
    }

    #[test]
    fn the_client_address_is_parsed_in_the_form_of_each_edge() {
        for (text, has_port, address) in [
            ("203.0.113.7", false, Some("203.0.113.7")),
            ("203.0.113.7:46532", false, Some("203.0.113.7")),
            ("203.0.113.7:46532", true, Some("203.0.113.7")),
            ("2001:db8::7", false, Some("2001:db8::7")),
            ("[2001:db8::7]:46532", false, Some("2001:db8::7")),
            ("[2001:db8::7]:46532", true, Some("2001:db8::7")),
            ("2001:db8::7:443", true, Some("2001:db8::7")),
            (
                "2001:db8:1:2:3:4:5:6:443",
                true,
                Some("2001:db8:1:2:3:4:5:6"),
            ),
            ("::ffff:203.0.113.7", false, Some("203.0.113.7")),
            ("203.0.113.7", true, None),
            ("203.0.113.7:99999", true, None),
            ("unknown", false, None),
            ("", false, None),
        ] {
            let read = read(text, has_port).map(|address| address.to_string());
            assert_eq!(read.as_deref(), address, "{text}");
        }
    }

    #[test]
    fn x_forwarded_for_is_no_address_source() {
        for text in ["header:X-Real-IP", "header:true-client-ip"] {
            assert!(AddressSource::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "header:",
            "header:a b",
            "header:X-Forwarded-For",
            "akamai",
        ] {
            assert_eq!(AddressSource::parse(text), None, "{text}");
        }
    }
}
