//! The mail in a folder, as a user reads it.

use std::fs;
use std::path::Path;

use mail_parser::MessageParser;

/// One mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceivedMail {
    /// The recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML.
    pub html: String,
    /// The value of `Auto-Submitted`, if there is one.
    pub auto_submitted: Option<String>,
}

impl ReceivedMail {
    /// The link in it.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn link(&self) -> &str {
        let mut words = self.text.split_whitespace();
        words
            .find(|word| word.contains("://"))
            .unwrap_or_else(|| panic!("no link in {self:?}"))
    }

    /// The token in its link.
    pub fn token(&self) -> &str {
        self.link().split_once('#').expect("a token").1
    }
}

/// Every mail in `folder`, in the order of sending.
///
/// # Panics
///
/// If there is a file that is no mail.
pub fn letters(folder: &Path) -> Vec<ReceivedMail> {
    let Ok(files) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| letter(path)).collect()
}

fn letter(path: &Path) -> ReceivedMail {
    let bytes = fs::read(path).expect("readable");
    let message = MessageParser::default().parse(&bytes).expect("a mail");
    let to = message.to().and_then(|to| to.first());
    let to = to.and_then(|to| to.address()).expect("an addressee");
    let automatic = message.header_raw("Auto-Submitted");
    ReceivedMail {
        auto_submitted: automatic.map(|value| value.trim().to_owned()),
        to: to.to_owned(),
        subject: message.subject().expect("a subject").to_owned(),
        text: message.body_text(0).expect("text").into_owned(),
        html: message.body_html(0).expect("HTML").into_owned(),
    }
}
