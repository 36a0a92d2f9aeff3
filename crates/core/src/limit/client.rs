//! The network of a client, as rate limits count it.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// The network counted as one client: an IPv4 address, or the `/64` of an IPv6 address, the
/// smallest assignment to one customer ([RFC 6177 §2]).
///
/// [RFC 6177 §2]: https://www.rfc-editor.org/rfc/rfc6177#section-2
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// Parses an address into its network; `None` if `text` is invalid. An IPv4-mapped IPv6 address
    /// (`::ffff:203.0.113.7`) counts as IPv4.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::of)
    }

    /// The network of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }

    /// The octets of an IPv4 address, or the eight octets of an IPv6 network.
    pub fn octets(&self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
        }
    }
}

/// The `/48` of an IPv6 address, the usual assignment to a site ([RFC 6177 §2]). It contains 65536
/// networks of one client.
///
/// [RFC 6177 §2]: https://www.rfc-editor.org/rfc/rfc6177#section-2
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientSite([u16; 3]);

impl ClientSite {
    /// The site of `network`; `None` for an IPv4 address.
    pub const fn of(network: ClientNetwork) -> Option<Self> {
        match network.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Some(Self([a, b, c]))
            }
        }
    }
}

/// `2001:db8:1::/48`.
impl fmt::Display for ClientSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
    }
}

/// `203.0.113.7` or `2001:db8:1:2::/64`.
impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_48_is_a_site_and_an_ipv4_address_or_a_mapped_one_has_none() {
        for (text, site) in [
            ("203.0.113.7", None),
            ("::ffff:203.0.113.7", None),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1::/48")),
            ("2001:db8:1:ffff::1", Some("2001:db8:1::/48")),
            ("2001:db8:2::1", Some("2001:db8:2::/48")),
        ] {
            let found = ClientNetwork::parse(text).and_then(ClientSite::of);
            let found = found.map(|site| site.to_string());
            assert_eq!(found.as_deref(), site, "{text}");
        }
    }

    #[test]
    fn addresses_in_one_ipv6_64_count_as_one_client() {
        for (text, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            let parsed = ClientNetwork::parse(text).map(|network| network.to_string());
            assert_eq!(parsed.as_deref(), Some(network), "{text}");
        }
        for text in [
            "",
            "unknown",
            "203.0.113",
            "203.0.113.7:80",
            "[::1]",
            "fe80::1%eth0",
        ] {
            assert_eq!(ClientNetwork::parse(text), None, "{text}");
        }
    }
}
