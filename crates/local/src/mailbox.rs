//! The mailbox: one page with the mail of the host on this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, extract::State, response::Response, routing::get};
use http::{HeaderName, HeaderValue, StatusCode, header};
use mail_parser::MessageParser;
use tokio::net::TcpListener;

/// The maximum number of mails on the page.
const SHOWN: usize = 100;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
article{border-top:1px solid;padding:1rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}";

/// Shows the `.eml` files in `folder` at `/mailbox`, newest first, until `end` resolves.
///
/// # Errors
///
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    folder: PathBuf,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/mailbox", get(page))
        .route("/mailbox.css", get(style))
        .with_state(Arc::new(folder));
    axum::serve(listener, router)
        .with_graceful_shutdown(end)
        .await
}

async fn page(State(folder): State<Arc<PathBuf>>) -> Response<String> {
    match mails(&folder) {
        Ok(mails) => answer(StatusCode::OK, "text/html; charset=utf-8", html(&mails)),
        Err(fault) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            format!("the folder cannot be read: {fault}\n"),
        ),
    }
}

async fn style() -> Response<String> {
    answer(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_owned())
}

/// A mail runs no script, loads nothing and sends nothing; only links work, after a click.
fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

struct Mail {
    to: String,
    subject: String,
    date: String,
    text: String,
}

/// The mails in `folder`, newest first; empty if the folder does not exist yet.
fn mails(folder: &Path) -> io::Result<Vec<Mail>> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(fault),
    };
    let mut paths = files
        .map(|file| file.map(|file| file.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // A draft is an incomplete mail.
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
    // The names start with the send time in seconds.
    paths.sort_unstable_by(|one, other| other.cmp(one));
    let mails = paths.iter().take(SHOWN).map(fs::read);
    Ok(mails
        .collect::<io::Result<Vec<_>>>()?
        .iter()
        .filter_map(|bytes| read(bytes))
        .collect())
}

fn read(bytes: &[u8]) -> Option<Mail> {
    let message = MessageParser::default().parse(bytes)?;
    let to = message.to().and_then(|to| to.first());
    Some(Mail {
        to: to
            .and_then(|to| to.address())
            .unwrap_or_default()
            .to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        date: message
            .date()
            .map(|date| date.to_rfc3339())
            .unwrap_or_default(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
    })
}

fn html(mails: &[Mail]) -> String {
    let mut html = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
        <title>Mailbox</title><link rel=\"stylesheet\" href=\"/mailbox.css\"></head><body><h1>Mailbox</h1>"
        .to_owned();
    if mails.is_empty() {
        html.push_str("<p>No mail yet.</p>");
    }
    for mail in mails {
        html.push_str(&format!(
            "<article><h2>{}</h2><p>{} to {}</p><pre>{}</pre></article>",
            escape(&mail.subject),
            escape(&mail.date),
            escape(&mail.to),
            with_links(&mail.text)
        ));
    }
    html.push_str("</body></html>\n");
    html
}

/// The text with its http addresses as links.
fn with_links(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end();
        let escaped = escape(word);
        if bare.starts_with("https://") || bare.starts_with("http://") {
            format!(
                "<a href=\"{}\" rel=\"noreferrer\">{escaped}</a>",
                escape(bare)
            )
        } else {
            escaped
        }
    };
    text.split_inclusive(char::is_whitespace)
        .map(word)
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EML: &str = "From: a@acme.example\r\nTo: <ann@example.com>\r\nSubject: One <b>\r\n\
        Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Open https://acme.example/x#a.b\"<script> or javascript:alert(1)\r\n";

    #[test]
    fn a_mail_is_escaped_and_only_http_addresses_become_links() {
        let html = html(&[read(EML.as_bytes()).unwrap()]);
        assert!(
            html.contains("<a href=\"https://acme.example/x#a.b&quot;&lt;script&gt;\""),
            "{html}"
        );
        assert!(html.contains("One &lt;b&gt;"));
        assert!(!html.contains("<script>") && !html.contains("href=\"javascript"));
    }

    #[test]
    fn mails_are_listed_newest_first_without_drafts() {
        let folder =
            std::env::temp_dir().join(format!("portcullis-mailbox-{}", std::process::id()));
        assert!(
            mails(&folder).unwrap().is_empty(),
            "a missing folder is an empty mailbox"
        );
        fs::create_dir_all(&folder).unwrap();
        for (name, subject) in [
            ("1-a.eml", "Old"),
            ("2-b.eml", "New"),
            ("3-c.eml.draft", "Draft"),
        ] {
            fs::write(folder.join(name), EML.replace("One <b>", subject)).unwrap();
        }
        let subjects: Vec<_> = mails(&folder)
            .unwrap()
            .into_iter()
            .map(|mail| mail.subject)
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(subjects, ["New", "Old"]);
    }

    #[tokio::test]
    async fn the_mailbox_page_is_not_cached_and_runs_no_script() {
        let answer = page(State(Arc::new(PathBuf::from("/nonexistent")))).await;
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        assert!(policy.unwrap().starts_with("default-src 'none';"));
        assert!(answer.body().contains("No mail yet"));
    }
}
