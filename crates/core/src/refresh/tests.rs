use proptest::prelude::*;

use super::*;

const NOON: UnixTime = UnixTime::from_secs(1_000_000);
const WINDOW: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(1_000);

fn root_keys(id: &str, previous: &str) -> RootKeys {
    let key = |id: &str| format!(r#""id":"{id}","key":"{}""#, id.repeat(32));
    let previous = match previous {
        "" => String::new(),
        previous => format!(r#","previous":[{{{}}}]"#, key(previous)),
    };
    RootKeys::parse(format!("{{{}{previous}}}", key(id)).as_bytes()).expect("a document")
}

fn first() -> RefreshToken {
    RefreshToken::first(
        Id::parse("s1").expect("an id"),
        Delivery::Body,
        Secret::new([1; 32]),
    )
}

fn after(seconds: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(seconds))
}

/// The family of [`first`] after a rotation at each of `moments`, with all its tokens.
fn family(moments: &[u64], root_keys: &RootKeys) -> (Vec<RefreshToken>, RefreshHead) {
    let mut tokens = vec![first()];
    let mut head = first().head(NOON, NOON.plus(IDLE));
    for (number, moment) in (2..).zip(moments) {
        let now = after(*moment);
        let last = tokens.last().expect("a token");
        let secret = Secret::new([number; 32]);
        let (next, kept) = last.advance(
            secret,
            [number; NONCE_BYTES],
            root_keys,
            now,
            now.plus(IDLE),
        );
        tokens.push(next);
        head = kept;
    }
    (tokens, head)
}

fn word(verdict: &Redemption) -> &'static str {
    match verdict {
        Redemption::Rotate => "advance",
        Redemption::StillCurrent => "stands",
        Redemption::Replayed(_) => "repeated",
        Redemption::Conflict => "overtaken",
        Redemption::Reused => "reused",
        Redemption::Expired => "expired",
        Redemption::Unknown => "unknown",
    }
}

#[test]
fn a_refresh_token_parses_under_its_root_key_and_that_keys_successor() {
    let text = first().to_text(&root_keys("1", ""));
    assert!(text.expose().starts_with("s1.1.AQEB"));
    for root_keys in [root_keys("1", ""), root_keys("2", "1")] {
        let read = RefreshToken::parse(text.expose(), &root_keys).expect("ours");
        assert_eq!(read.to_text(&root_keys).expose().len(), text.expose().len());
        assert_eq!((read.session_id.as_str(), read.generation), ("s1", 1));
        assert_eq!(read.secret.expose(), &[1; 32]);
    }
    assert!(RefreshToken::parse(text.expose(), &root_keys("2", "")).is_err());
}

#[test]
fn no_part_of_a_refresh_token_can_be_exchanged_or_respelled() {
    let root_keys = root_keys("1", "");
    let text = first().to_text(&root_keys);
    let parts: Vec<_> = text.expose().split('.').collect();
    let [sid, generation, secret, code] = parts[..] else {
        panic!("four parts");
    };
    let good = format!("{sid}.{generation}.{secret}.{code}");
    assert!(RefreshToken::parse(&good, &root_keys).is_ok());
    let other = RefreshToken::first(
        Id::parse("s2").expect("an id"),
        Delivery::Body,
        Secret::new([2; 32]),
    );
    let other = other.to_text(&root_keys);
    let parts: Vec<_> = other.expose().split('.').collect();
    let [_, _, other_secret, other_code] = parts[..] else {
        panic!("four parts");
    };
    for bad in [
        String::new(),
        "...".to_owned(),
        format!("s2.1.{secret}.{code}"),
        format!("s1.2.{secret}.{code}"),
        format!("s1.01.{secret}.{code}"),
        format!("s1.+1.{secret}.{code}"),
        format!("s1.18446744073709551616.{secret}.{code}"),
        format!("s1.1.{other_secret}.{code}"),
        format!("s1.1.{secret}.{other_code}"),
        format!("s1.1.{secret}=.{code}"),
        format!("s1.1.{secret}.{}", code.get(..22).expect("ASCII")),
        format!("s1.1.{secret}."),
        format!("s1.1.{secret}"),
        format!("s1.1.{secret}.{code}."),
        format!(" s1.1.{secret}.{code}"),
        format!("s#1.1.{secret}.{code}"),
        "x".repeat(10_000),
    ] {
        assert!(RefreshToken::parse(&bad, &root_keys).is_err(), "{bad}");
    }
}

#[test]
fn the_current_token_is_returned_within_the_grace_window_and_rotated_after_it() {
    let root_keys = root_keys("1", "");
    let (tokens, head) = family(&[100], &root_keys);
    for (second, expected) in [
        (99, "stands"),
        (100, "stands"),
        (109, "stands"),
        (110, "advance"),
        (1_099, "advance"),
        (1_100, "expired"),
    ] {
        let verdict = head.redeem(&tokens[1], WINDOW, &root_keys, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
    }
}

#[test]
fn a_refresh_token_reused_in_the_window_gets_its_successor_and_is_reuse_after_it() {
    let root_keys = root_keys("1", "");
    let (tokens, head) = family(&[100], &root_keys);
    for (second, expected) in [
        (99, "repeated"),
        (109, "repeated"),
        (110, "reused"),
        (1_100, "reused"),
    ] {
        let verdict = head.redeem(&tokens[0], WINDOW, &root_keys, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
        if let Redemption::Replayed(successor) = verdict {
            assert_eq!(successor.hash(), head.hash);
            assert_eq!(
                successor.to_text(&root_keys).expose(),
                tokens[1].to_text(&root_keys).expose()
            );
        }
    }
    let none = head.redeem(&tokens[0], Duration::ZERO, &root_keys, after(100));
    assert_eq!(word(&none), "reused");
}

#[test]
fn an_older_generation_is_reuse_at_once_except_for_an_earlier_request() {
    let root_keys = root_keys("1", "");
    let (tokens, head) = family(&[100, 110], &root_keys);
    for (second, expected) in [(109, "overtaken"), (110, "reused"), (115, "reused")] {
        let verdict = head.redeem(&tokens[0], WINDOW, &root_keys, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
    }
}

#[test]
fn a_sealed_successor_opens_only_under_its_predecessor() {
    let host = root_keys("1", "");
    let (tokens, head) = family(&[100, 200], &host);
    let sealed = head.sealed.as_deref().expect("sealed");
    assert!(tokens[1].successor(sealed, &host).is_some());
    assert!(tokens[1].successor(sealed, &root_keys("2", "1")).is_some());
    assert!(tokens[0].successor(sealed, &host).is_none());
    assert!(tokens[2].successor(sealed, &host).is_none());
    assert!(tokens[1].successor(sealed, &root_keys("2", "")).is_none());
    let stranger = RefreshToken {
        session_id: Id::parse("s2").expect("an id"),
        ..tokens[1].clone()
    };
    assert!(stranger.successor(sealed, &host).is_none());
}

#[test]
fn a_token_that_does_not_match_the_head_is_neither_valid_nor_reuse() {
    let root_keys = root_keys("1", "");
    let (tokens, head) = family(&[100], &root_keys);
    let (_, restored) = family(&[], &root_keys);
    let ahead = restored.redeem(&tokens[1], WINDOW, &root_keys, after(200));
    assert_eq!(word(&ahead), "unknown");
    let other = RefreshToken {
        secret: Secret::new([9; 32]),
        ..tokens[1].clone()
    };
    let forked = head.redeem(&other, WINDOW, &root_keys, after(200));
    assert_eq!(word(&forked), "unknown");
    let unsealed = RefreshHead {
        sealed: None,
        ..head
    };
    let lost = unsealed.redeem(&tokens[0], WINDOW, &root_keys, after(100));
    assert_eq!(word(&lost), "unknown");
}

#[test]
fn debug_of_a_head_prints_neither_hash_nor_seal() {
    let (_, head) = family(&[100], &root_keys("1", ""));
    let printed = format!("{head:?}");
    assert!(printed.contains("generation: 2") && !printed.contains("sealed"));
    assert!(!printed.contains("hash"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_rejected_as_refresh_token(text: String, generation: u64, secret: [u8; 32], cookie: bool) {
        let root_keys = root_keys("1", "");
        prop_assert!(RefreshToken::parse(&text, &root_keys).is_err());
        let session_id = Id::from_random([7; 16]);
        let delivery = if cookie { Delivery::Cookie } else { Delivery::Body };
        let token = RefreshToken { session_id, generation, delivery, secret: Secret::new(secret) };
        let read = RefreshToken::parse(token.to_text(&root_keys).expose(), &root_keys);
        let read = read.expect("ours");
        prop_assert_eq!((read.generation, read.delivery), (generation, delivery));
    }
}
