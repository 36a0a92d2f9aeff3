use proptest::prelude::*;

use super::*;

const NOON: UnixTime = UnixTime::from_secs(1_000_000);
const WINDOW: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(1_000);

fn vault(id: &str, previous: &str) -> RootKeys {
    let key = |id: &str| format!(r#""id":"{id}","key":"{}""#, id.repeat(32));
    let previous = match previous {
        "" => String::new(),
        previous => format!(r#","previous":[{{{}}}]"#, key(previous)),
    };
    RootKeys::parse(format!("{{{}{previous}}}", key(id)).as_bytes()).expect("a document")
}

fn first() -> RefreshToken {
    RefreshToken::first(Id::parse("s1").expect("an id"), Secret::new([1; 32]))
}

fn after(seconds: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(seconds))
}

/// The family of [`first`] after one rotation at each of `moments`, with all its tokens.
fn family(moments: &[u64], vault: &RootKeys) -> (Vec<RefreshToken>, RefreshHead) {
    let mut tokens = vec![first()];
    let mut head = first().head(NOON, NOON.plus(IDLE));
    for (number, moment) in (2..).zip(moments) {
        let now = after(*moment);
        let last = tokens.last().expect("a token");
        let secret = Secret::new([number; 32]);
        let (next, kept) = last.advance(secret, [number; NONCE_BYTES], vault, now, now.plus(IDLE));
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
fn a_refresh_token_parses_under_the_current_and_a_replaced_root_key() {
    let text = first().to_text(&vault("1", ""));
    assert!(text.expose().starts_with("s1.1.AQEB"));
    for vault in [vault("1", ""), vault("2", "1")] {
        let read = RefreshToken::parse(text.expose(), &vault).expect("ours");
        assert_eq!(read.to_text(&vault).expose().len(), text.expose().len());
        assert_eq!((read.session_id.as_str(), read.generation), ("s1", 1));
        assert_eq!(read.secret.expose(), &[1; 32]);
    }
    assert!(RefreshToken::parse(text.expose(), &vault("2", "")).is_err());
}

#[test]
fn a_refresh_token_with_a_changed_part_or_other_spelling_is_rejected() {
    let vault = vault("1", "");
    let text = first().to_text(&vault);
    let parts: Vec<_> = text.expose().split('.').collect();
    let [sid, generation, secret, code] = parts[..] else {
        panic!("four parts");
    };
    let good = format!("{sid}.{generation}.{secret}.{code}");
    assert!(RefreshToken::parse(&good, &vault).is_ok());
    let other = RefreshToken::first(Id::parse("s2").expect("an id"), Secret::new([2; 32]));
    let other = other.to_text(&vault);
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
        assert!(RefreshToken::parse(&bad, &vault).is_err(), "{bad}");
    }
}

#[test]
fn the_current_refresh_token_is_rotated_only_after_the_grace_window() {
    let vault = vault("1", "");
    let (tokens, head) = family(&[100], &vault);
    for (second, expected) in [
        (99, "stands"),
        (100, "stands"),
        (109, "stands"),
        (110, "advance"),
        (1_099, "advance"),
        (1_100, "expired"),
    ] {
        let verdict = head.redeem(&tokens[1], WINDOW, &vault, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
    }
}

#[test]
fn reuse_of_a_refresh_token_returns_its_successor_in_the_window_and_is_theft_after_it() {
    let vault = vault("1", "");
    let (tokens, head) = family(&[100], &vault);
    for (second, expected) in [
        (99, "repeated"),
        (109, "repeated"),
        (110, "reused"),
        (1_100, "reused"),
    ] {
        let verdict = head.redeem(&tokens[0], WINDOW, &vault, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
        if let Redemption::Replayed(successor) = verdict {
            assert_eq!(successor.hash(), head.hash);
            assert_eq!(
                successor.to_text(&vault).expose(),
                tokens[1].to_text(&vault).expose()
            );
        }
    }
    let none = head.redeem(&tokens[0], Duration::ZERO, &vault, after(100));
    assert_eq!(word(&none), "reused");
}

#[test]
fn reuse_of_an_older_generation_is_theft_unless_the_request_arrived_before_rotation() {
    let vault = vault("1", "");
    let (tokens, head) = family(&[100, 110], &vault);
    for (second, expected) in [(109, "overtaken"), (110, "reused"), (115, "reused")] {
        let verdict = head.redeem(&tokens[0], WINDOW, &vault, after(second));
        assert_eq!(word(&verdict), expected, "{second}");
    }
}

#[test]
fn a_sealed_successor_decrypts_only_under_its_predecessor() {
    let host = vault("1", "");
    let (tokens, head) = family(&[100, 200], &host);
    let sealed = head.sealed.as_deref().expect("sealed");
    assert!(tokens[1].successor(sealed, &host).is_some());
    assert!(tokens[1].successor(sealed, &vault("2", "1")).is_some());
    assert!(tokens[0].successor(sealed, &host).is_none());
    assert!(tokens[2].successor(sealed, &host).is_none());
    assert!(tokens[1].successor(sealed, &vault("2", "")).is_none());
    let stranger = RefreshToken {
        session_id: Id::parse("s2").expect("an id"),
        ..tokens[1].clone()
    };
    assert!(stranger.successor(sealed, &host).is_none());
}

#[test]
fn a_refresh_token_that_does_not_fit_the_stored_state_is_neither_current_nor_reuse() {
    let vault = vault("1", "");
    let (tokens, head) = family(&[100], &vault);
    let (_, restored) = family(&[], &vault);
    let ahead = restored.redeem(&tokens[1], WINDOW, &vault, after(200));
    assert_eq!(word(&ahead), "unknown");
    let other = RefreshToken {
        secret: Secret::new([9; 32]),
        ..tokens[1].clone()
    };
    let forked = head.redeem(&other, WINDOW, &vault, after(200));
    assert_eq!(word(&forked), "unknown");
    let unsealed = RefreshHead {
        sealed: None,
        ..head
    };
    let lost = unsealed.redeem(&tokens[0], WINDOW, &vault, after(100));
    assert_eq!(word(&lost), "unknown");
}

#[test]
fn debug_output_of_the_refresh_state_omits_hash_and_seal() {
    let (_, head) = family(&[100], &vault("1", ""));
    let printed = format!("{head:?}");
    assert!(printed.contains("generation: 2") && !printed.contains("sealed"));
    assert!(!printed.contains("hash"));
}

proptest! {
    #[test]
    fn any_text_parses_as_a_refresh_token_or_is_rejected(text: String, generation: u64, secret: [u8; 32]) {
        let vault = vault("1", "");
        prop_assert!(RefreshToken::parse(&text, &vault).is_err());
        let session_id = Id::from_random([7; 16]);
        let token = RefreshToken { session_id, generation, secret: Secret::new(secret) };
        let read = RefreshToken::parse(token.to_text(&vault).expose(), &vault);
        prop_assert_eq!(read.expect("ours").generation, generation);
    }
}
