//! Where a caller comes from, as far as limits are concerned.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// The network that is counted as one caller: an IPv4 address, or the `/64` of an IPv6 address,
/// which is what one customer is given at the least ([RFC 6177 §2]).
///
/// [RFC 6177 §2]: https://www.rfc-editor.org/rfc/rfc6177#section-2
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network of an address; `None` if `text` is none. An IPv4 address in the clothes of an
    /// IPv6 one (`::ffff:203.0.113.7`) is what it is.
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

    /// The octets of an IPv4 address, or the eight of an IPv6 network.
    pub fn octets(&self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
        }
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
    fn neighbours_in_a_64_are_one_caller() {
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
