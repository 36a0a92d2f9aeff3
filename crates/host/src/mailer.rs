//! Who takes the mail of this host.

mod folder;

use std::path::PathBuf;

use portcullis_aws::endpoint::Endpoint;
use portcullis_aws::ses::{Sender, Ses};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{Mail, MailError, Mailer};

pub use crate::mailer::folder::FolderMailer;
use crate::transport::AwsClient;

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum MailDelivery {
    /// Nowhere: it waits in the outbox until somebody is told to send it.
    None,
    /// Into this folder, a file each: for development.
    Folder(PathBuf, Sender),
    /// To Amazon SES.
    Ses(Endpoint, Sender),
}

/// Who takes the mail.
#[derive(Debug)]
pub enum HostMailer {
    /// Nobody: it waits.
    None,
    /// A folder.
    Folder(FolderMailer),
    /// Amazon SES, at this address and from this sender.
    Ses(Endpoint, Sender),
}

impl HostMailer {
    /// The one that `delivery` names. Nothing is reached yet.
    pub fn new(delivery: MailDelivery) -> Self {
        match delivery {
            MailDelivery::None => Self::None,
            MailDelivery::Folder(path, sender) => Self::Folder(FolderMailer::new(path, sender)),
            MailDelivery::Ses(endpoint, sender) => Self::Ses(endpoint, sender),
        }
    }

    /// The mailer as it is reached at `now`; `None` where nobody takes mail.
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

/// A mailer at one moment, which signs what is signed.
#[derive(Debug)]
pub struct MailerAt<'a> {
    mailer: &'a HostMailer,
    client: &'a AwsClient,
    now: UnixTime,
}

impl Mailer for MailerAt<'_> {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        match self.mailer {
            HostMailer::None => Err(MailError::Transient("nobody takes mail".into())),
            HostMailer::Folder(folder) => folder.at(self.now).send(mail).await,
            HostMailer::Ses(endpoint, sender) => {
                let ses = Ses::at(self.client, endpoint, sender, self.now);
                ses.send(mail).await
            }
        }
    }
}
