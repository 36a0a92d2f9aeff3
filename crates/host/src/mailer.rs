//! The mail transport of this host.

mod folder;

use std::path::PathBuf;

use portcullis_aws::endpoint::Endpoint;
use portcullis_aws::ses::{Sender, Ses};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{Mail, MailError, Mailer};

pub use crate::mailer::folder::FolderMailer;
use crate::transport::AwsClient;

/// The destination of mail.
#[derive(Clone, Debug)]
pub enum MailDelivery {
    /// None: mail stays in the outbox until a transport is configured.
    None,
    /// This folder, one file per mail: for development.
    Folder(PathBuf, Sender),
    /// Amazon SES.
    Ses(Endpoint, Sender),
}

/// The mail transport.
#[derive(Debug)]
pub enum HostMailer {
    /// None: mail stays in the outbox.
    None,
    /// A folder.
    Folder(FolderMailer),
    /// Amazon SES at this endpoint, from this sender.
    Ses(Endpoint, Sender),
}

impl HostMailer {
    /// The transport for `delivery`. Opens no connection.
    pub fn new(delivery: MailDelivery) -> Self {
        match delivery {
            MailDelivery::None => Self::None,
            MailDelivery::Folder(path, sender) => Self::Folder(FolderMailer::new(path, sender)),
            MailDelivery::Ses(endpoint, sender) => Self::Ses(endpoint, sender),
        }
    }

    /// The mailer at `now`; `None` without a transport.
    pub const fn at<'a>(&'a self, client: &'a AwsClient, now: UnixTime) -> Option<MailerAt<'a>> {
        match self {
            Self::None => None,
            Self::Folder(_) | Self::Ses(..) => Some(MailerAt {
                mailer: self,
                client,
                now,
            }),
        }
    }
}

/// A mailer at one moment, because signing needs the time.
#[derive(Debug)]
pub struct MailerAt<'a> {
    mailer: &'a HostMailer,
    client: &'a AwsClient,
    now: UnixTime,
}

impl Mailer for MailerAt<'_> {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        match self.mailer {
            HostMailer::None => Err(MailError::Transient(
                "no mail transport is configured".into(),
            )),
            HostMailer::Folder(folder) => folder.at(self.now).send(mail).await,
            HostMailer::Ses(endpoint, sender) => {
                let ses = Ses::at(self.client, endpoint, sender, self.now);
                ses.send(mail).await
            }
        }
    }
}
