//! Mail as files in a folder, for a developer to read: one `.eml` per mail ([RFC 5322]).
//!
//! [RFC 5322]: https://www.rfc-editor.org/rfc/rfc5322

use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mail_builder::MessageBuilder;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use portcullis_aws::ses::Sender;
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{AUTO_SUBMITTED, Mail, MailError, Mailer, SecureRandom as _};

use crate::random::SystemRandom;

/// A folder that receives mail.
#[derive(Debug)]
pub struct FolderMailer {
    folder: PathBuf,
    sender: Sender,
    /// The number of mails written, which orders those of one second.
    written: AtomicU64,
}

impl FolderMailer {
    /// Writes mail from `sender` to `folder`, which is created for the first mail.
    pub const fn new(folder: PathBuf, sender: Sender) -> Self {
        Self {
            folder,
            sender,
            written: AtomicU64::new(0),
        }
    }

    /// The folder at `now`.
    pub(super) const fn at(&self, now: UnixTime) -> FolderAt<'_> {
        FolderAt { mailer: self, now }
    }
}

/// A folder at one moment.
#[derive(Debug)]
pub(super) struct FolderAt<'a> {
    mailer: &'a FolderMailer,
    now: UnixTime,
}

impl Mailer for FolderAt<'_> {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let failed = |error: io::Error| MailError::Transient(error.into());
        let id = SystemRandom
            .id()
            .map_err(io::Error::other)
            .map_err(failed)?;
        let place = self.mailer.written.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{place:08}-{id}.eml", self.now.as_secs());
        let message = self.message(mail, id.as_str()).map_err(failed)?;
        // Small files on a developer's machine need no extra thread.
        write(&self.mailer.folder, &name, &message).map_err(failed)
    }
}

impl FolderAt<'_> {
    fn message(&self, mail: &Mail, id: &str) -> io::Result<Vec<u8>> {
        let sender = &self.mailer.sender;
        let date = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
        MessageBuilder::new()
            .from((sender.name.clone(), sender.address.deliverable()))
            .to(mail.to.deliverable())
            .subject(mail.subject.as_str())
            .date(Date::new(date))
            .message_id(format!("{id}@{}", sender.address.domain()))
            .header(AUTO_SUBMITTED.0, Raw::new(AUTO_SUBMITTED.1))
            .text_body(mail.text.expose().as_str())
            .html_body(mail.html.expose().as_str())
            .write_to_vec()
    }
}

/// Writes a temporary file and moves it into place, so that no reader sees half a mail.
fn write(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let place = folder.join(name);
    let draft = place.with_added_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file.write_all(message).and_then(|()| file.sync_all());
    written
        .and_then(|()| fs::rename(&draft, &place))
        .inspect_err(|_| {
            // The temporary file is no mail.
            let _ = fs::remove_file(&draft);
        })
}
