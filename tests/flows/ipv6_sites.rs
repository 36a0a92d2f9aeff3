//! Rate limits of IPv6 sites from outside: an attacker with a whole /48 does not evade a limit.

use portcullis_tests::system::{CHEAP, Peer, Reply};

use crate::operator::{run, system};
use crate::refresh::form;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An attempt that counts as `client_address`.
async fn attempt(peer: &Peer, address: &str) -> Reply {
    let from = [
        ("x-portcullis-edge-secret", SECRET),
        ("cf-connecting-ip", address),
    ];
    form(peer, "/oauth2/introspect", "token=x", &from).await
}

fn is_limited(reply: &Reply, seconds: u64) {
    assert_eq!(
        (reply.status, reply.code()),
        (429, "rate_limited"),
        "{reply:?}"
    );
    assert_eq!(reply.header("retry-after"), seconds.to_string());
}

fn network(number: usize) -> String {
    format!("2001:db8:1:{number:x}::1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_rotates_the_networks_of_an_ipv6_48_is_limited() {
    let system = system().await;
    let settings = [
        ("PORTCULLIS_CLIENT_IP_SOURCE", "cloudflare"),
        ("PORTCULLIS_EDGE_SECRET", SECRET),
        ("PORTCULLIS_LIMITS", "client_address=1/900"),
    ];
    let host = system.another(CHEAP, &settings).await.expect("a host");
    // Each attempt comes from a new /64. The second sample is refused. The chance of fewer than two
    // samples in 2000 attempts is below 10^-53.
    let mut last = 0;
    let refused = loop {
        let reply = attempt(&host, &network(last)).await;
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.status, 401, "{reply:?}");
        last += 1;
        assert!(last < 2_000, "the /48 is not limited");
    };
    is_limited(&refused, 900);
    // Now all networks of the site are refused, without a row.
    let rows = async || system.rows("Portcullis", "").await.expect("rows").len();
    let before = rows().await;
    for number in 3_000..3_050 {
        is_limited(&attempt(&host, &network(number)).await, 900);
    }
    assert_eq!(rows().await, before);
    // Other sites and IPv4 have their own counts.
    for address in ["2001:db8:2::1", "203.0.113.7", "::ffff:203.0.113.8"] {
        assert_eq!(attempt(&host, address).await.status, 401, "{address}");
    }
    // The operator sees and clears the count of the site from any of its networks.
    let address = network(4_000);
    let show = ["--json", "limits", "show", &address];
    let shown = run(&system, &show).await;
    let counts = shown.json["limits"].as_array().expect("a list");
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!(counts[0]["limit"], "client_address");
    assert_eq!(counts[0]["ipv6_48"], true);
    let cleared = run(&system, &["limits", "clear", &address]).await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    let shown = run(&system, &show).await;
    assert_eq!(shown.json["limits"].as_array().map(Vec::len), Some(0));
    // The host itself accepts attempts of the site from the second of retry-after.
    system.clock.pass(899);
    is_limited(&attempt(&host, &network(5_000)).await, 1);
    system.clock.pass(1);
    assert_eq!(attempt(&host, &network(5_001)).await.status, 401);
}
