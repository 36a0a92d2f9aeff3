//! Domains of disposable addresses, for operators who refuse them. `disposable/collect.py`
//! regenerates the list.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use portcullis_core::email::EmailAddress;
use thiserror::Error;

use crate::regular_file;

/// One domain per line, sorted by bytes.
const KNOWN: &str = include_str!("disposable/domains.txt");

/// Whether addresses of disposable domains may register.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DisposableConfig {
    /// Whether they are refused.
    pub refuse: bool,
    /// A file with more such domains, one per line.
    pub more: Option<PathBuf>,
}

/// The e-mail domains that may not register.
#[derive(Debug, Default)]
pub struct Disposable {
    /// The built-in domains, sorted; empty where they are allowed.
    known: Vec<&'static str>,
    more: BTreeSet<String>,
}

/// The file with further domains cannot be read.
#[derive(Debug, Error)]
#[error("PORTCULLIS_DISPOSABLE_FILE: {} cannot be read", .0.display())]
pub struct DisposableError(PathBuf, #[source] io::Error);

impl Disposable {
    /// The domains that `config` refuses.
    ///
    /// # Errors
    ///
    /// [`DisposableError`].
    pub fn new(config: DisposableConfig) -> Result<Self, DisposableError> {
        if !config.refuse {
            return Ok(Self::default());
        }
        let more = match config.more {
            None => String::new(),
            Some(path) => {
                let text = regular_file::open(&path).and_then(io::read_to_string);
                text.map_err(|error| DisposableError(path, error))?
            }
        };
        let more = more.lines().map(|line| line.trim().to_lowercase());
        Ok(Self {
            known: KNOWN.lines().collect(),
            more: more.filter(|line| !line.is_empty()).collect(),
        })
    }

    /// Whether the list contains the domain of `email` or a parent of it.
    pub fn refuses(&self, email: &EmailAddress) -> bool {
        let mut domain = email.domain();
        loop {
            if self.known.binary_search(&domain).is_ok() || self.more.contains(domain) {
                return true;
            }
            match domain.split_once('.') {
                Some((_, parent)) => domain = parent,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refuses(disposable: &Disposable, email: &str) -> bool {
        disposable.refuses(&EmailAddress::parse(email).expect("an address"))
    }

    #[test]
    fn the_built_in_list_is_sorted_and_normalised() {
        let domains: Vec<_> = KNOWN.lines().collect();
        assert!(domains.len() > 10_000 && domains.is_sorted());
        for domain in domains {
            let address = EmailAddress::parse(&format!("a@{domain}"));
            assert_eq!(address.expect(domain).domain(), domain);
        }
    }

    #[test]
    fn a_disposable_domain_and_its_subdomains_are_refused_only_if_configured() {
        let refusing = Disposable::new(DisposableConfig {
            refuse: true,
            more: None,
        });
        let refusing = refusing.expect("no file");
        assert!(refuses(&refusing, "a@mailinator.com"));
        assert!(refuses(&refusing, "a@x.y.MAILINATOR.com"));
        for fine in [
            "a@example.com",
            "a@nomailinator.example",
            "a@mailinator.com.example",
        ] {
            assert!(!refuses(&refusing, fine), "{fine}");
        }
        let allowing = Disposable::new(DisposableConfig::default()).expect("no file");
        assert!(!refuses(&allowing, "a@mailinator.com"));
    }

    #[test]
    fn a_file_extends_the_list_and_a_missing_file_is_an_error() {
        let path =
            std::env::temp_dir().join(format!("portcullis-disposable-{}", std::process::id()));
        let config = || DisposableConfig {
            refuse: true,
            more: Some(path.clone()),
        };
        assert!(Disposable::new(config()).is_err());
        fs::write(&path, "Throwaway.example\n\n").expect("written");
        let refusing = Disposable::new(config());
        fs::remove_file(&path).expect("removed");
        let refusing = refusing.expect("read");
        assert!(refuses(&refusing, "a@throwaway.example"));
        assert!(!refuses(&refusing, "a@keep.example"));
    }
}
