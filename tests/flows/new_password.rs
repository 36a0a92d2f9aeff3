//! The responses to a rejected new password.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use portcullis_tests::system::{CHEAP, System};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{EMAIL, PASSWORD, is_problem};

#[tokio::test]
async fn each_bad_password_gets_its_code_and_feedback_and_creates_no_account() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for (password, code) in [
        ("hunter2 hunter", "password_too_short"),
        ("aaaaaaaaaaaaaaaaaaaa", "password_repeats"),
        ("CorrectHorseBatteryStaple", "password_common"),
        ("passwordpasswordpassword", "password_common"),
        ("ann@example.com!!", "password_contains_address"),
        ("login 2026 login", "password_contains_service_name"),
    ] {
        let reply = peer.register(EMAIL, password).await;
        is_problem(&reply, 400, code);
        let feedback = &reply.json["feedback"];
        assert!(
            feedback["score"].as_u64().is_some_and(|score| score <= 4),
            "{reply:?}"
        );
        assert!(
            feedback["suggestions"]
                .as_array()
                .is_some_and(|texts| !texts.is_empty()),
            "{reply:?}"
        );
        assert!(
            !reply.json.to_string().contains(password),
            "{password} is quoted"
        );
    }
    assert_eq!(system.proxy.count("TransactWriteItems"), 0);
    assert_eq!(system.host.hasher.runs(), 0, "none was hashed");
}

#[tokio::test]
async fn a_password_score_is_required_only_if_configured() {
    let system = System::start().await.expect("a system");
    let weak = "sunshine shadow1";
    let strict = system
        .another(CHEAP, &[("PORTCULLIS_PASSWORD_SCORE", "4")])
        .await;
    let strict = strict.expect("a host");
    is_problem(
        &strict.register("ben@example.com", weak).await,
        400,
        "password_too_weak",
    );
    let strong = "gravel otter lampshade quince";
    assert_eq!(strict.register("ben@example.com", strong).await.status, 201);
    assert_eq!(
        system.peer().register("eva@example.com", weak).await.status,
        201
    );
}

/// A breached-password service on this machine: answers each request with `lines` and records it.
async fn range(lines: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            seen.lock().expect("whole").push(request);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                lines.len()
            );
            let _ = stream.write_all(format!("{head}{lines}").as_bytes()).await;
        }
    });
    (address, asked)
}

/// The SHA-1 of [`PASSWORD`] is `98DEC` and the second line; the last one is padding.
const LINES: &str = "0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n\
                     C62ECE399A22ED30D490EF333BE7FDE7385:7\r\n\
                     00D4F6E8FA6EECAD2A3AA415EEC418D38EC:0\r\n";

#[tokio::test]
async fn the_breach_service_learns_five_hex_digits_and_a_breached_password_is_rejected() {
    let system = System::start().await.expect("a system");
    let (address, asked) = range(LINES).await;
    let address = format!("http://{address}/range/");
    let peer = system
        .another(CHEAP, &[("PORTCULLIS_PWNED_PASSWORDS_URL", &address)])
        .await;
    let peer = peer.expect("a host");
    is_problem(
        &peer.register(EMAIL, PASSWORD).await,
        400,
        "password_breached",
    );
    assert_eq!(
        peer.register(EMAIL, "correct otter battery").await.status,
        201
    );
    let asked = asked.lock().expect("whole").clone();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[0].starts_with("GET /range/98DEC HTTP/1.1\r\n"),
        "{}",
        asked[0]
    );
    assert!(asked[0].to_lowercase().contains("add-padding: true\r\n"));
    // A password that is rejected anyway is not sent to the service.
    is_problem(
        &peer.register(EMAIL, "short").await,
        400,
        "password_too_short",
    );
    assert_eq!(system.proxy.count("TransactWriteItems"), 1);
}

#[tokio::test]
async fn an_unavailable_breach_service_fails_open_or_closed_as_configured() {
    let system = System::start().await.expect("a system");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let closed = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    let (garbled, _) = range("<html>out of order</html>").await;
    for address in [closed, format!("http://{garbled}/")] {
        let refuse = ("PORTCULLIS_PWNED_PASSWORDS_FAIL_MODE", "closed");
        let range = ("PORTCULLIS_PWNED_PASSWORDS_URL", address.as_str());
        let strict = system
            .another(CHEAP, &[range, refuse])
            .await
            .expect("a host");
        let reply = strict.register(EMAIL, PASSWORD).await;
        is_problem(&reply, 503, "breach_check_unavailable");
        assert_eq!(reply.header("retry-after"), "1");
        let lenient = system.another(CHEAP, &[range]).await.expect("a host");
        assert_eq!(lenient.register(EMAIL, PASSWORD).await.status, 201);
    }
}
