//! The texts of the notices: what happened, when, and what to do if it was not the owner
//! (OWASP ASVS 5.0 6.3.7, NIST SP 800-63B-4 §4.6).

use portcullis_core::time::UnixTime;

use crate::settings::Mailing;

/// The text of a notice: its subject and its paragraphs.
pub(super) struct NoticeText {
    pub(super) subject: String,
    pub(super) before: String,
    pub(super) after: Vec<String>,
}

/// A change of an account with a notice to its owner.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    PasswordChanged,
    FactorAdded,
    FactorRemoved,
    RecoveryCodesRenewed,
    AccountDisabled,
    AccountEnabled,
    SessionsEnded,
    SessionEnded,
    AccountDeleted,
    PermissionsChanged,
}

impl Notice {
    /// The mail about the change, which was made at `at`. It contains no secret: its link is the
    /// page itself, without a token.
    pub(super) fn write(self, at: UnixTime, settings: &Mailing) -> NoticeText {
        let name = settings.service_name.as_str();
        let (subject, before) = self.event(name);
        let page = &settings.reset_page;
        let mut after = vec![format!("Time: {at} (UTC).")];
        match self {
            Self::PasswordChanged => after.push(format!(
                "If that was not you, request a new password on the login page at once. The link \
                 for it is sent to this address and opens {page}"
            )),
            Self::FactorAdded | Self::FactorRemoved | Self::RecoveryCodesRenewed => {
                after.push(format!(
                    "If that was not you, another person knows your password. Request a new \
                     password on the login page at once: it ends every session. The link for it is \
                     sent to this address and opens {page}"
                ));
            }
            Self::SessionsEnded
            | Self::SessionEnded
            | Self::AccountEnabled
            | Self::PermissionsChanged => {
                after.push(format!(
                    "The operator of {name} did this. If you did not expect it, ask the operator \
                     for the reason. If another person may know your password, request a new one on \
                     the login page. The link for it is sent to this address and opens {page}"
                ));
            }
            Self::AccountDisabled | Self::AccountDeleted => after.push(format!(
                "The operator of {name} did this. If you did not expect it, ask the operator for \
                 the reason."
            )),
        }
        NoticeText {
            subject,
            before,
            after,
        }
    }

    /// The subject and the sentence that says what happened.
    fn event(self, name: &str) -> (String, String) {
        match self {
            Self::PasswordChanged => (
                format!("Your password for {name} was changed"),
                format!(
                    "The password of your account at {name} was changed, and all other sessions \
                     were ended."
                ),
            ),
            Self::FactorAdded => (
                format!("A second factor was added to your account at {name}"),
                format!(
                    "An authenticator app was added to your account at {name}, with new recovery \
                     codes. From now on, each login asks for a code."
                ),
            ),
            Self::FactorRemoved => (
                format!("The second factor of your account at {name} was removed"),
                format!(
                    "The authenticator app and the recovery codes of your account at {name} were \
                     removed. From now on, a login needs only the password, and it must have at least \
                     15 characters. If yours is shorter, request a new one on the login page."
                ),
            ),
            Self::RecoveryCodesRenewed => (
                format!("New recovery codes for your account at {name}"),
                format!(
                    "New recovery codes were created for your account at {name}. The earlier \
                     codes are no longer valid."
                ),
            ),
            Self::PermissionsChanged => (
                format!("The permissions of your account at {name} were changed"),
                format!(
                    "The scopes, roles or other permissions of your account at {name} were changed."
                ),
            ),
            Self::AccountDisabled => (
                format!("Your account at {name} was disabled"),
                format!(
                    "Your account at {name} was disabled, and all its sessions were ended. You \
                     cannot log in to it."
                ),
            ),
            Self::AccountEnabled => (
                format!("Your account at {name} was enabled again"),
                format!("Your account at {name} was enabled again. You can log in to it."),
            ),
            Self::SessionsEnded => (
                format!("All sessions of your account at {name} were ended"),
                format!(
                    "All sessions of your account at {name} were ended. Every device must log in \
                     again."
                ),
            ),
            Self::SessionEnded => (
                format!("A session of your account at {name} was ended"),
                format!(
                    "One session of your account at {name} was ended. That device must log in \
                     again."
                ),
            ),
            Self::AccountDeleted => (
                format!("Your account at {name} was deleted"),
                format!("Your account at {name} was deleted, with all its sessions."),
            ),
        }
    }
}
