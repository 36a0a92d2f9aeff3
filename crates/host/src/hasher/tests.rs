use portcullis_core::secret::Secret;
use serde_json::Value;

use futures_util::FutureExt as _;

use super::*;

const SMALL: HashParameters = HashParameters {
    memory_kib: 64,
    passes: 2,
    lanes: 1,
};
const ONE: HashLimits = HashLimits {
    at_once: 1,
    waiting: 0,
    memory_mib: 256,
};

const HASHES: &str = include_str!("../../../../tests/vectors/passwords/hashes.jsonl");

fn password(text: &str) -> Password {
    Password::parse(&Secret::new(text.to_owned())).expect("short enough")
}

fn pool(today: HashParameters) -> HashPool {
    HashPool::new(today, ONE, HashRules::default())
}

fn peppered() -> HashPool {
    let rules = HashRules {
        pepper: true,
        former: None,
    };
    HashPool::new(SMALL, ONE, rules)
}

/// The root key `id` and its predecessors.
fn root_keys(id: &str, previous: &[&str]) -> RootKeys {
    let key = |id: &str| format!(r#""id":"{id}","key":"{:x<40}""#, id);
    let previous: Vec<_> = previous
        .iter()
        .map(|id| format!("{{{}}}", key(id)))
        .collect();
    let document = format!(r#"{{{},"previous":[{}]}}"#, key(id), previous.join(","));
    RootKeys::parse(document.as_bytes()).expect("a document")
}

async fn verdict(pool: &HashPool, text: &str, stored: &PasswordHash) -> HashVerdict {
    let root_keys = root_keys("1", &[]);
    let verdict = pool
        .with(&root_keys, "")
        .verify(&password(text), Some(stored))
        .await;
    verdict.expect("checked")
}

async fn hash(pool: &HashPool, root_keys: &RootKeys) -> PasswordHash {
    let text = password("correct horse battery");
    let hash = pool.with(root_keys, "").hash(&text).await;
    hash.expect("hashed")
}

#[tokio::test]
async fn a_password_matches_only_its_own_hash() {
    let (pool, root_keys) = (pool(SMALL), root_keys("1", &[]));
    let made = hash(&pool, &root_keys).await;
    assert!(made.as_phc().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
    for (text, expected) in [
        ("correct horse battery", HashVerdict::Matches),
        ("correct horse batterx", HashVerdict::Differs),
    ] {
        assert_eq!(verdict(&pool, text, &made).await, expected);
    }
    let again = hash(&pool, &root_keys).await;
    assert_ne!(made.as_phc(), again.as_phc(), "each hash has its own salt");
}

#[tokio::test]
async fn a_hash_with_lower_parameters_is_outdated() {
    let lesser = HashParameters { passes: 1, ..SMALL };
    let old = hash(&pool(lesser), &root_keys("1", &[])).await;
    let text = "correct horse battery";
    let raised = verdict(&pool(SMALL), text, &old).await;
    assert_eq!(raised, HashVerdict::MatchesOutdated);
    assert_eq!(
        verdict(&pool(lesser), text, &old).await,
        HashVerdict::Matches
    );
}

/// Created by other tools: tests/vectors/passwords/make_hashes.py.
#[tokio::test]
async fn a_hash_of_another_tool_verifies_and_is_outdated() {
    let pool = pool(SMALL);
    let mut kinds = 0;
    for line in HASHES.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| line[name].as_str().expect("a text").to_owned();
        let stored = PasswordHash::parse(&text("hash")).expect("printable");
        assert!(is_readable(&stored), "{line}");
        let (right, wrong) = (text("password"), format!("x{}", text("password")));
        let expected = match text("kind").as_str() {
            "argon2id" => HashVerdict::Matches,
            _ => HashVerdict::MatchesOutdated,
        };
        assert_eq!(verdict(&pool, &right, &stored).await, expected, "{line}");
        let differs = HashVerdict::Differs;
        assert_eq!(verdict(&pool, &wrong, &stored).await, differs, "{line}");
        kinds += 1;
    }
    assert_eq!(kinds, 14);
}

#[tokio::test]
async fn bcrypt_reads_only_the_first_72_bytes() {
    let line = HASHES.lines().find(|line| line.contains("bcrypt-72"));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    let stored = PasswordHash::parse(line["hash"].as_str().expect("a text")).expect("printable");
    let long = "correct horse battery ".repeat(4);
    for (bytes, expected) in [
        (72, HashVerdict::MatchesOutdated),
        (71, HashVerdict::Differs),
    ] {
        let cut = long.get(..bytes).expect("long");
        assert_eq!(verdict(&pool(SMALL), cut, &stored).await, expected);
    }
}

#[tokio::test]
async fn login_timing_is_equal_for_an_unknown_account_and_a_wrong_password() {
    let root_keys = root_keys("1", &[]);
    let lesser = HashParameters { passes: 1, ..SMALL };
    let today = hash(&pool(SMALL), &root_keys).await;
    let old = hash(&pool(lesser), &root_keys).await;
    let runs = async |former: Option<&PasswordHash>, stored: Option<&PasswordHash>| {
        let rules = HashRules {
            pepper: false,
            former: former.cloned(),
        };
        let pool = HashPool::new(SMALL, ONE, rules);
        let hasher = pool.with(&root_keys, "");
        let verdict = hasher.verify(&password("something else"), stored).await;
        assert_eq!(verdict, Ok(HashVerdict::Differs));
        pool.runs()
    };
    for stored in [None, Some(&today)] {
        assert_eq!(runs(None, stored).await, 1);
    }
    assert_eq!(runs(None, Some(&old)).await, 2, "never less");
    for stored in [None, Some(&today), Some(&old)] {
        assert_eq!(runs(Some(&old), stored).await, 2, "one of each kind");
    }
}

#[tokio::test]
async fn the_pepper_is_that_of_the_root_key_the_hash_names() {
    let (pool, first) = (peppered(), root_keys("1", &[]));
    let old = hash(&pool, &first).await;
    assert!(old.as_phc().contains(",keyid=MQ$"), "{}", old.as_phc());
    let right = password("correct horse battery");
    let verdict = async |root_keys: &RootKeys, stored: &PasswordHash| {
        let verdict = pool.with(root_keys, "").verify(&right, Some(stored)).await;
        verdict.expect("checked")
    };
    assert_eq!(verdict(&first, &old).await, HashVerdict::Matches);
    // After a replacement of the root key, its hashes still verify and are outdated.
    let second = root_keys("abcdefghij123456", &["1"]);
    assert_eq!(verdict(&second, &old).await, HashVerdict::MatchesOutdated);
    let renewed = hash(&pool, &second).await;
    assert_eq!(verdict(&second, &renewed).await, HashVerdict::Matches);
    // After its removal, hashes that were not renewed no longer verify.
    let third = root_keys("3", &[]);
    assert_eq!(verdict(&third, &old).await, HashVerdict::Differs);
    // A different root key of the same identifier yields another pepper.
    let stranger =
        RootKeys::parse(br#"{"id":"1","key":"another-key-of-the-same-name,-also-long"}"#);
    let stranger = stranger.expect("a document");
    assert_eq!(verdict(&stranger, &old).await, HashVerdict::Differs);
}

#[tokio::test]
async fn a_pepper_is_added_or_removed_at_the_next_login() {
    let root_keys = root_keys("1", &[]);
    let right = password("correct horse battery");
    for (made_by, checked_by) in [(pool(SMALL), peppered()), (peppered(), pool(SMALL))] {
        let made = hash(&made_by, &root_keys).await;
        let verdict = checked_by
            .with(&root_keys, "")
            .verify(&right, Some(&made))
            .await;
        assert_eq!(verdict, Ok(HashVerdict::MatchesOutdated));
    }
}

#[tokio::test]
async fn a_hash_over_the_memory_limit_is_not_verified() {
    let root_keys = root_keys("1", &[]);
    let small = HashLimits {
        memory_mib: 1,
        ..ONE
    };
    let pool = HashPool::new(SMALL, small, HashRules::default());
    let salt_and_key = "AAECAwQFBgcICQoLDA0ODw$KNnI6qMWHAqAnT0mrq8B0juulbkyG7uC+HoDGNtkZlg";
    for (log_n, fits) in [(10, true), (11, false)] {
        let stored = format!("$scrypt$ln={log_n},r=8,p=1${salt_and_key}");
        let stored = PasswordHash::parse(&stored).expect("printable");
        let hasher = pool.with(&root_keys, "");
        assert_eq!(hasher.can_check(&stored), fits);
        let verdict = hasher.verify(&password("x"), Some(&stored)).await;
        assert_eq!(verdict.is_ok(), fits);
    }
}

#[tokio::test]
async fn a_full_hash_queue_rejects_one_more_and_recovers() {
    let limits = HashLimits { waiting: 1, ..ONE };
    let pool = HashPool::new(SMALL, limits, HashRules::default());
    let root_keys = root_keys("1", &[]);
    let first = pool.turn(None, 64).await;
    let mut second = pool.turn(None, 64).boxed();
    assert!(first.is_ok() && (&mut second).now_or_never().is_none());
    let hasher = pool.with(&root_keys, "");
    let refused = hasher.hash(&password("correct horse")).await;
    assert_eq!(refused.map(|_| ()), Err(HashError::Busy));
    drop((first, second));
    assert!(hasher.hash(&password("correct horse")).await.is_ok());
}
