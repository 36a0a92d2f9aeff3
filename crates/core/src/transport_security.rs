//! Transport security: which addresses may be without TLS, and how a browser is held to https.

use core::net::IpAddr;

/// The value of `Strict-Transport-Security`: the browser uses https for this host alone for a year
/// ([RFC 6797 §6.1]). Subdomains are not ours.
///
/// [RFC 6797 §6.1]: https://www.rfc-editor.org/rfc/rfc6797#section-6.1
pub const HSTS: &str = "max-age=31536000";

/// Whether traffic to `host` by `scheme` cannot be read or changed on the network: `https`, or
/// `http` that does not leave the machine.
///
/// `host` is the host of a parsed URL, without user name and port; an IPv6 address is in brackets.
/// Both compare without case ([RFC 3986 §3.2.2]).
///
/// [RFC 3986 §3.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
pub fn is_protected(scheme: &str, host: &str) -> bool {
    if scheme.eq_ignore_ascii_case("https") {
        !host.is_empty()
    } else {
        scheme.eq_ignore_ascii_case("http") && is_loopback(host)
    }
}

/// `127.0.0.0/8` and `::1` ([RFC 1122 §3.2.1.3], [RFC 4291 §2.5.3]), and `localhost`
/// ([RFC 6761 §6.3]).
///
/// [RFC 1122 §3.2.1.3]: https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
/// [RFC 4291 §2.5.3]: https://www.rfc-editor.org/rfc/rfc4291#section-2.5.3
/// [RFC 6761 §6.3]: https://www.rfc-editor.org/rfc/rfc6761#section-6.3
fn is_loopback(host: &str) -> bool {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bracketed.unwrap_or(host).parse();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|ip: IpAddr| ip.is_loopback() && ip.is_ipv6() == bracketed.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_protected_on_loopback_only() {
        for host in [
            "127.0.0.0",
            "127.0.0.1",
            "127.255.255.255",
            "[::1]",
            "localhost",
            "LocalHost",
        ] {
            assert!(is_protected("http", host), "{host}");
            assert!(is_protected("HTTP", host), "{host}");
        }
        for host in [
            "",
            "126.255.255.255",
            "128.0.0.0",
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "127.1",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "127.0.0.1.evil.example",
            "127.0.0.1.",
            "localhost.",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1@evil.example",
            "[::]",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "[127.0.0.1]",
            "[[::1]]",
            "::1",
            "[::1",
        ] {
            assert!(!is_protected("http", host), "{host}");
        }
    }

    #[test]
    fn https_is_protected_on_every_host_and_other_schemes_on_none() {
        for scheme in ["https", "HTTPS"] {
            assert!(is_protected(scheme, "origin.example"), "{scheme}");
            assert!(is_protected(scheme, "10.0.0.1"), "{scheme}");
            assert!(!is_protected(scheme, ""), "{scheme}");
        }
        for scheme in ["", "ws", "wss", "ftp", "httpss", "http "] {
            assert!(!is_protected(scheme, "127.0.0.1"), "{scheme}");
        }
    }
}
