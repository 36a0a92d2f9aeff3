//! The texts of the mails: plain sentences, as text and as HTML.

mod notices;

use portcullis_core::email::EmailAddress;
use portcullis_core::mail::MailKind;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;

use self::notices::{Notice, NoticeText};
use crate::ports::{Mail, Subject};
use crate::settings::Mailing;

/// The content of one mail: paragraphs, with an optional link after the first.
struct MessageTemplate {
    subject: String,
    before: String,
    link: Option<Secret<String>>,
    after: Vec<String>,
}

/// The mail of `kind` to `to`, with its link. It was requested, or its change was made, at `at`.
pub(super) fn write(
    kind: MailKind,
    to: &EmailAddress,
    link: Option<Secret<String>>,
    at: UnixTime,
    settings: &Mailing,
) -> Mail {
    let name = settings.service_name.as_str();
    let letter = match kind {
        MailKind::Verify => MessageTemplate {
            subject: format!("Verify your address for {name}"),
            before: format!(
                "This address was used to create an account at {name}. If that was you, open this \
                 link to verify it:"
            ),
            link,
            after: vec![
                format!(
                    "The link is valid for {} and works once.",
                    minutes(settings.verify_lifetime)
                ),
                "In another browser than the one with which you created the account, the page asks \
                 for a new password."
                    .to_owned(),
                "If it was not you, you do not need to do anything: without this link, the account \
                 stays unverified."
                    .to_owned(),
            ],
        },
        MailKind::Reset => MessageTemplate {
            subject: format!("Set a new password for {name}"),
            before: format!(
                "A new password was requested for your account at {name}. If that was you, open \
                 this link:"
            ),
            link,
            after: vec![
                format!(
                    "The link is valid for {} and works once.",
                    minutes(settings.reset_lifetime)
                ),
                "If it was not you, you do not need to do anything: your password stays the same."
                    .to_owned(),
            ],
        },
        MailKind::Unlock => MessageTemplate {
            subject: format!("Log in to {name} again"),
            before: format!(
                "After many failed logins, your account at {name} can be used only from browsers \
                 that have logged in before. To log in from another browser, open this link there:"
            ),
            link,
            after: vec![
                format!(
                    "The link is valid for {} and works once. You still need your password.",
                    minutes(settings.unlock_lifetime)
                ),
                "If you did not try to log in, another person is guessing your password. You do \
                 not need to do anything: they cannot log in."
                    .to_owned(),
            ],
        },
        MailKind::AlreadyRegistered => MessageTemplate {
            subject: format!("You already have an account at {name}"),
            before: format!(
                "This address was used to create another account at {name}, but it already has an \
                 account. Nothing was changed."
            ),
            link: None,
            after: vec![
                "If that was you, log in with your password, or request a new one on the login \
                 page."
                    .to_owned(),
                "If it was not you, you do not need to do anything.".to_owned(),
            ],
        },
        MailKind::PasswordChanged => Notice::PasswordChanged.write(at, settings).into(),
        MailKind::FactorAdded => Notice::FactorAdded.write(at, settings).into(),
        MailKind::FactorRemoved => Notice::FactorRemoved.write(at, settings).into(),
        MailKind::RecoveryCodesRenewed => Notice::RecoveryCodesRenewed.write(at, settings).into(),
        MailKind::AccountDisabled => Notice::AccountDisabled.write(at, settings).into(),
        MailKind::AccountEnabled => Notice::AccountEnabled.write(at, settings).into(),
        MailKind::SessionsEnded => Notice::SessionsEnded.write(at, settings).into(),
        MailKind::SessionEnded => Notice::SessionEnded.write(at, settings).into(),
        MailKind::AccountDeleted => Notice::AccountDeleted.write(at, settings).into(),
        MailKind::PermissionsChanged => Notice::PermissionsChanged.write(at, settings).into(),
        MailKind::Invite => MessageTemplate {
            subject: format!("Your account at {name}"),
            before: format!(
                "An account at {name} was created for this address. Open this link to set its \
                 password:"
            ),
            link,
            after: vec![
                format!(
                    "The link is valid for {} and works once. Later, request a new password on the \
                     login page.",
                    span(settings.invite_lifetime)
                ),
                "If you do not expect an account there, you do not need to do anything: without \
                 this link, the account has no password."
                    .to_owned(),
            ],
        },
    };
    letter.into_mail(to)
}

impl From<NoticeText> for MessageTemplate {
    fn from(text: NoticeText) -> Self {
        Self {
            subject: text.subject,
            before: text.before,
            link: None,
            after: text.after,
        }
    }
}

impl MessageTemplate {
    fn into_mail(self, to: &EmailAddress) -> Mail {
        let (text, html) = (self.text(), self.html());
        Mail {
            to: to.clone(),
            subject: Subject::new(&self.subject),
            text: Secret::new(text),
            html: Secret::new(html),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.before);
        if let Some(link) = &self.link {
            text.push_str(&format!("\n{}\n", link.expose()));
        }
        for paragraph in &self.after {
            text.push_str(&format!("\n{paragraph}\n"));
        }
        text
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{}</title>\
             <body><p>{}</p>",
            escape(&self.subject),
            escape(&self.before)
        );
        if let Some(link) = &self.link {
            let link = escape(link.expose());
            html.push_str(&format!("<p><a href=\"{link}\">{link}</a></p>"));
        }
        for paragraph in &self.after {
            html.push_str(&format!("<p>{}</p>", escape(paragraph)));
        }
        html.push_str("</body></html>\n");
        html
    }
}

/// A duration in whole days, hours or minutes.
fn span(span: core::time::Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match span.as_secs() {
        DAY => "one day".to_owned(),
        secs if secs % DAY == 0 => format!("{} days", secs / DAY),
        3_600 => "one hour".to_owned(),
        secs if secs % 3_600 == 0 => format!("{} hours", secs / 3_600),
        _ => minutes(span),
    }
}

fn minutes(span: core::time::Duration) -> String {
    match span.as_secs().div_ceil(60) {
        1 => "one minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// Escapes text for HTML content and quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn settings(name: &str) -> Mailing {
        Mailing {
            service_name: name.to_owned(),
            verify_page: "https://login.example/v".to_owned(),
            reset_page: "https://login.example/r".to_owned(),
            unlock_page: "https://login.example/u".to_owned(),
            verify_lifetime: Duration::from_secs(3_600),
            reset_lifetime: Duration::from_secs(1_800),
            unlock_lifetime: Duration::from_secs(1_800),
            invite_lifetime: Duration::from_secs(7 * 24 * 60 * 60),
            require_verified: true,
            smtputf8: false,
        }
    }

    fn letter(kind: MailKind, name: &str) -> Mail {
        let to = EmailAddress::parse("Ann@Example.com").expect("an address");
        let link = Secret::new("https://login.example/r#u1.abc".to_owned());
        write(kind, &to, Some(link), NOON, &settings(name))
    }

    #[test]
    fn a_link_appears_only_in_the_mails_that_need_it() {
        for kind in MailKind::ALL {
            let mail = letter(kind, "Acme");
            let has_link = matches!(
                kind,
                MailKind::Verify | MailKind::Reset | MailKind::Unlock | MailKind::Invite
            );
            for part in [&mail.text, &mail.html] {
                assert_eq!(part.expose().contains("#u1.abc"), has_link, "{kind:?}");
                assert!(part.expose().contains("Acme"));
            }
            assert!(mail.subject.as_str().contains("Acme"));
            assert!(!format!("{mail:?}").contains("u1.abc"));
        }
        assert!(
            letter(MailKind::Reset, "Acme")
                .text
                .expose()
                .contains("30 minutes")
        );
        assert!(
            letter(MailKind::Verify, "Acme")
                .text
                .expose()
                .contains("60 minutes")
        );
    }

    #[test]
    fn a_notice_says_when_the_change_was_made_and_has_a_page_without_a_token() {
        for kind in MailKind::ALL {
            let is_notice = kind.is_notice();
            let mail = letter(kind, "Acme");
            for part in [&mail.text, &mail.html] {
                let text = part.expose();
                assert_eq!(
                    text.contains("2026-11-23T12:00:00Z (UTC)"),
                    is_notice,
                    "{kind:?}"
                );
                let undone_by_reset = is_notice
                    && !matches!(kind, MailKind::AccountDisabled | MailKind::AccountDeleted);
                let page = text.contains("https://login.example/r") && !text.contains('#');
                assert_eq!(page, undone_by_reset, "{kind:?}: {text}");
            }
        }
    }

    #[test]
    fn an_invitation_says_how_long_its_link_is_valid() {
        let text = letter(MailKind::Invite, "Acme").text;
        assert!(text.expose().contains("valid for 7 days"));
        for (secs, said) in [
            (86_400, "one day"),
            (3_600, "one hour"),
            (7_200, "2 hours"),
            (5_400, "90 minutes"),
        ] {
            assert_eq!(span(Duration::from_secs(secs)), said);
        }
    }

    #[test]
    fn a_service_name_is_escaped_and_cannot_inject_markup() {
        let mail = letter(MailKind::Verify, "A&B <script>\"'");
        assert!(!mail.html.expose().contains("<script>"));
        assert!(
            mail.html
                .expose()
                .contains("A&amp;B &lt;script&gt;&quot;&#39;")
        );
    }
}
