//! `jws-verify`, as external suites run it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use portcullis_tests::vectors::committed;
use portcullis_tests::{attacks, verifier};

/// The program's output for `questions`, line by line.
fn verify(questions: Vec<u8>) -> Vec<String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_jws-verify"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = program.stdin.take().expect("piped");
    let writer = thread::spawn(move || input.write_all(&questions));
    let output = BufReader::new(program.stdout.take().expect("piped"));
    let answers = output.lines().collect::<Result<_, _>>().expect("text");
    writer.join().expect("writes").expect("takes all");
    assert!(program.wait().expect("ends").success());
    answers
}

#[test]
fn the_program_returns_the_results_of_the_library_line_by_line() {
    let vectors = [committed(), attacks::all()].concat();
    let questions: String = vectors
        .iter()
        .map(|vector| format!("{}\n", vector.line))
        .collect();
    let expected: Vec<_> = vectors
        .iter()
        .map(|vector| verifier::signature(&vector.line))
        .collect();
    assert_eq!(verify(questions.into_bytes()), expected);
}

#[test]
fn a_malformed_line_is_rejected_and_the_next_one_processed() {
    let good = committed().remove(0);
    let good = (good.line.as_bytes(), verifier::signature(&good.line));
    let null = r#"{"id":null,"result":"reject","reason":"bad_line"}"#;
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let long = [
        b"{\"id\":1,\"token\":\"".as_slice(),
        &vec![b'x'; 5_000_000],
        b"\"}",
    ]
    .concat();
    let lines: [(&[u8], &str); 10] = [
        good_line(&good),
        (b"garbage", null),
        (b"{\"id\":\"a\xff\"}", null),
        (b"{}", null),
        (
            b"{\"id\":7}",
            r#"{"id":7,"result":"reject","reason":"bad_line"}"#,
        ),
        (b"\0", null),
        (&deep, null),
        (&long, r#"{"id":1,"result":"reject","reason":"bad_line"}"#),
        (
            b"{\"id\":\"\\\"\"}",
            r#"{"id":"\"","result":"reject","reason":"bad_line"}"#,
        ),
        good_line(&good),
    ];
    let questions = lines
        .iter()
        .flat_map(|(line, _)| [line, b"\n \n".as_slice()].concat());
    let answers = verify(questions.collect());
    let expected: Vec<_> = lines
        .iter()
        .map(|(_, answer)| (*answer).to_owned())
        .collect();
    assert_eq!(answers, expected);
}

fn good_line<'a>((line, answer): &'a (&'a [u8], String)) -> (&'a [u8], &'a str) {
    (line, answer)
}

#[test]
fn a_last_line_without_newline_is_processed() {
    assert_eq!(verify(b"x".to_vec()).len(), 1);
    assert_eq!(verify(vec![]), Vec::<String>::new());
}
