//! The test corpus inside workerd: verified by the Worker's own verifier over `crypto.subtle`, and
//! by the portable one, `jwt-simple` in wasm.
//!
//! `POST /signatures/subtle`, `/signatures/portable`, `/decisions/subtle`, `/decisions/portable`:
//! JSON lines in, JSON lines out. A test compares them with the native results, byte for byte.

use js_sys::futures::JsFuture;
use portcullis_corpus::{decision, signature};
use portcullis_jwt::NativeVerifier;
use portcullis_worker::signatures::WebCryptoVerifier;
use web_sys::{Request, Response};

#[worker::event(fetch)]
async fn fetch(request: Request, _: worker::Env, _: worker::Context) -> worker::Result<Response> {
    let text = JsFuture::from(request.text()?).await?;
    let questions = text.as_string().unwrap_or_default();
    let url = request.url();
    let corpus = url
        .rsplit_once("//")
        .and_then(|(_, rest)| rest.split_once('/'));
    let (subtle, portable) = (WebCryptoVerifier::default(), NativeVerifier);
    let mut answers = String::new();
    for question in questions.lines() {
        let answer = match corpus {
            Some((_, "signatures/subtle")) => signature::answer_line(question, &subtle).await,
            Some((_, "signatures/portable")) => signature::answer_line(question, &portable).await,
            Some((_, "decisions/subtle")) => decision::answer_line(question, &subtle).await,
            Some((_, "decisions/portable")) => decision::answer_line(question, &portable).await,
            _ => return Err("there is no such corpus".into()),
        };
        answers.push_str(&answer);
        answers.push('\n');
    }
    Ok(Response::new_with_opt_str(Some(&answers))?)
}
