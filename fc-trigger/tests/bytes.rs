//! Bytes that two servers could read differently are refused by `serve` (T4, T5, T9, I27).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use common::{Server, Setup};
use fc_trigger::GatewayConfig;

const GOOD: &str = "POST /ok HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 2\r\n\r\nhi";

/// Each alone and behind a good request: a 400 with a request id in its place, then the end of the
/// connection; nothing of it reaches a function, and the server goes on.
async fn refused(cases: &[(&str, Vec<u8>)]) {
    let server = Server::start().await;
    for (name, bytes) in cases {
        let answers = server.raw(bytes).await;
        assert_eq!(answers.len(), 1, "{name}: {answers:?}");
        answers[0].assert_refused(400, "InvalidArgument");
        assert_eq!(answers[0].header("connection"), "close", "{name}");
        assert!(server.witness.seen().is_empty(), "{name} reached a function");

        let mut both = GOOD.as_bytes().to_vec();
        both.extend_from_slice(bytes);
        both.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n");
        let answers = server.raw(both).await;
        assert_eq!(answers.len(), 2, "{name}: {answers:?}");
        assert_eq!((answers[0].status, &answers[0].body[..]), (200, &b"hi"[..]), "{name}");
        answers[1].assert_refused(400, "InvalidArgument");
        let seen = server.witness.seen();
        assert_eq!(seen.len(), 1, "{name}: {seen:?}");
        server.witness.seen.lock().unwrap().clear();
    }
    let fine = server.ask("GET / HTTP/1.1\r\nHost: echo.localhost", b"").await;
    assert_eq!(fine.status, 200);
}

fn text(cases: &[(&'static str, &str)]) -> Vec<(&'static str, Vec<u8>)> {
    cases.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect()
}

/// T4: framing.
#[tokio::test]
async fn t4_ambiguous_framing_is_refused() {
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\n";
    let fields = [
        ("CL and TE", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("TE and CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        ("differing CL", "Content-Length: 4\r\nContent-Length: 5\r\n"),
        ("equal CL", "Content-Length: 4\r\nContent-Length: 4\r\n"),
        ("CL list", "Content-Length: 4, 4\r\n"),
        ("CL plus", "Content-Length: +5\r\n"),
        ("CL minus", "Content-Length: -5\r\n"),
        ("CL hex", "Content-Length: 0x5\r\n"),
        ("CL blank inside", "Content-Length: 1 1\r\n"),
        ("CL empty", "Content-Length:\r\n"),
        ("CL huge", "Content-Length: 99999999999999999999999\r\n"),
        ("CL fraction", "Content-Length: 4.0\r\n"),
        ("TE unknown", "Transfer-Encoding: gzip\r\n"),
        ("TE list", "Transfer-Encoding: gzip, chunked\r\n"),
        ("TE identity", "Transfer-Encoding: identity\r\n"),
        ("TE x", "Transfer-Encoding: xchunked\r\n"),
        ("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("TE quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("TE with VT", "Transfer-Encoding: \x0bchunked\r\n"),
        ("TE with parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("blank before colon, TE", "Transfer-Encoding : chunked\r\n"),
        ("blank before colon, CL", "Content-Length : 4\r\n"),
        ("folded TE", "X: y\r\n Transfer-Encoding: chunked\r\n"),
        ("folded TE value", "Transfer-Encoding:\r\n chunked\r\n"),
    ];
    let cases: Vec<_> = fields
        .iter()
        .map(|(name, fields)| (*name, format!("{head}{fields}\r\n").into_bytes()))
        .collect();
    refused(&cases).await;
    refused(&text(&[(
        "TE in 1.0",
        "POST / HTTP/1.0\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )]))
    .await;
}

/// T4, T9: the lines of a head.
#[tokio::test]
async fn t4_malformed_heads_are_refused() {
    refused(&text(&[
        ("bare LF", "GET / HTTP/1.1\nHost: echo.localhost\n\n"),
        ("bare LF in a header", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: a\nY: b\r\n\r\n"),
        ("bare LF as the end", "GET / HTTP/1.1\r\nHost: echo.localhost\r\n\n"),
        ("bare CR in a value", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: a\rY: b\r\n\r\n"),
        ("CR CR LF", "GET / HTTP/1.1\r\nHost: echo.localhost\r\r\n\r\n"),
        ("NUL in a value", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: a\0b\r\n\r\n"),
        ("NUL in a name", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX\0: a\r\n\r\n"),
        ("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("DEL in a value", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: \x7f\r\n\r\n"),
        ("escape in a value", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: \x1b[0m\r\n\r\n"),
        ("fold", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: a\r\n b\r\n\r\n"),
        ("fold by tab", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: a\r\n\tb\r\n\r\n"),
        ("fold at once", "GET / HTTP/1.1\r\n Host: echo.localhost\r\n\r\n"),
        ("blank before colon", "GET / HTTP/1.1\r\nHost : echo.localhost\r\n\r\n"),
        ("no colon", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nnothing\r\n\r\n"),
        ("empty name", "GET / HTTP/1.1\r\nHost: echo.localhost\r\n: x\r\n\r\n"),
        ("name in brackets", "GET / HTTP/1.1\r\nHost: echo.localhost\r\n(x): x\r\n\r\n"),
        ("two blanks", "GET  / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("blank in the target", "GET /a b HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("tab for blank", "GET\t/ HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("blank at the end", "GET / HTTP/1.1 \r\nHost: echo.localhost\r\n\r\n"),
        ("0.9", "GET /\r\n\r\n"),
        ("0.9 by name", "GET / HTTP/0.9\r\nHost: echo.localhost\r\n\r\n"),
        ("1.2", "GET / HTTP/1.2\r\nHost: echo.localhost\r\n\r\n"),
        ("2.0", "GET / HTTP/2.0\r\nHost: echo.localhost\r\n\r\n"),
        ("http in lower case", "GET / http/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("no method", " / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("method with colon", "G:T / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        (
            "endless method",
            &format!("{} / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n", "M".repeat(33)),
        ),
        ("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("fragment", "GET /a#b HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("raw UTF-8 target", "GET /\u{e9} HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("less-than in the target", "GET /<x> HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("relative target", "GET x HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("query alone", "GET ?x HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("broken absolute target", "GET http:///x HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
        ("h2 preface later", "PRI * HTTP/2.0\r\nHost: echo.localhost\r\n\r\nSM\r\n\r\n"),
    ]))
    .await;
}

/// T5: one host.
#[tokio::test]
async fn t5_every_other_host_is_refused() {
    let mut cases: Vec<(&str, Vec<u8>)> = text(&[
        ("none", "GET / HTTP/1.1\r\n\r\n"),
        ("none in 1.0", "GET / HTTP/1.0\r\n\r\n"),
        ("two", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nHost: other.localhost\r\n\r\n"),
        ("two equal", "GET / HTTP/1.1\r\nHost: echo.localhost\r\nhost: echo.localhost\r\n\r\n"),
    ]);
    cases.truncate(4);
    refused(&cases).await;
    // What the parsed form still shows is refused by the service, and the connection goes on.
    let server = Server::start().await;
    for host in [
        "",
        "echo.localhost.",
        "echo.localhost.:80",
        "echo.localhost:",
        "echo.localhost:http",
        "echo.localhost:99999",
        "user@echo.localhost",
        "echo.localhost/x",
        "echo.localhost, other.localhost",
        "[::1",
        "::1",
        "echo%2elocalhost",
        ".localhost",
        "echo.localhost:80:80",
        "echo .localhost",
    ] {
        let answer = server.ask(&format!("GET / HTTP/1.1\r\nHost: {host}"), b"").await;
        answer.assert_refused(400, "InvalidArgument");
    }
    for target in
        ["http://other.localhost/", "http://echo.localhost:81/", "http://user@echo.localhost/"]
    {
        let answer =
            server.ask(&format!("GET {target} HTTP/1.1\r\nHost: echo.localhost"), b"").await;
        answer.assert_refused(400, "InvalidArgument");
    }
    assert!(server.witness.seen().is_empty());
    let answer =
        server.ask("GET http://ECHO.localhost/a?b HTTP/1.1\r\nHost: echo.localhost", b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.witness.seen()[0].uri, "/a?b");
}

/// T4: chunks. The request's head was fine, so the function may have begun: it is cancelled.
#[tokio::test]
async fn t4_malformed_chunks_are_refused() {
    let server = Server::start().await;
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("2;{}\r\nhi\r\n0\r\n\r\n", "x".repeat(200));
    let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let bodies = [
        "x\r\n",
        "\r\n",
        "+2\r\nhi\r\n",
        "-2\r\n",
        "0x2\r\nhi\r\n",
        "2 \r\nhi\r\n",
        " 2\r\nhi\r\n",
        "2\nhi\r\n0\r\n\r\n",
        "2\r\nhix\r\n",
        "2\r\nhi\n0\r\n\r\n",
        "2\r\nhi\r0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "2;a\rb\r\nhi\r\n",
        "2;a\0\r\nhi\r\n",
        "2,a\r\nhi\r\n",
        "2;\u{e9}\r\nhi\r\n",
        &long,
        "0\r\nbad\r\n\r\n",
        "0\r\na b: c\r\n\r\n",
        "0\r\n: c\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\n\n",
        &many,
    ];
    for body in bodies {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n";
        let answers = server.raw(format!("{head}{body}{smuggled}")).await;
        assert_eq!(answers.len(), 1, "{body:?}: {answers:?}");
        answers[0].assert_refused(400, "InvalidArgument");
        let seen = server.witness.seen();
        assert!(seen.is_empty(), "{body:?}: {seen:?}");
    }
    let good =
        format!("{head}2;ext=\"1\"\r\nhi\r\n0A\r\n0123456789\r\n0\r\nX-Fc-Account-Id: 1\r\n\r\n");
    let mut stream = server.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, good.as_bytes()).await.unwrap();
    let answer = common::next_answer(&mut stream, &mut Vec::new()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hi0123456789"[..]));
    assert!(!server.witness.seen()[0].trailers);
}

/// T4: what is odd and can be read in one way only is served.
#[tokio::test]
async fn odd_but_clear_heads_are_served() {
    let server = Server::start().await;
    for head in [
        "\r\nGET / HTTP/1.1\r\nHost: echo.localhost",
        "GET / HTTP/1.1\r\nhOsT:\t echo.localhost \t",
        "GET / HTTP/1.0\r\nHost: echo.localhost",
        "GET /a//b/../%2e%2e/%2f;x?%00=\\ HTTP/1.1\r\nHost: echo.localhost:80",
        "DELETE /{x}|y^z HTTP/1.1\r\nHost: echo.localhost\r\nX-Latin: \u{e9}",
        "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX:",
    ] {
        let answer = server.ask(head, b"").await;
        assert_eq!(answer.status, 200, "{head:?}: {answer:?}");
    }
    // I26: the path reaches the function as it was sent.
    assert_eq!(server.witness.seen()[3].uri, "/a//b/../%2e%2e/%2f;x?%00=\\");
}

/// T16: a head that is not complete in time is refused, and so is one that never comes.
#[tokio::test]
async fn t16_a_half_sent_head_is_answered_and_closed() {
    let mut config = GatewayConfig::new(common::account());
    config.header_timeout = std::time::Duration::from_millis(200);
    let server = Setup { config, ..Setup::default() }.serve().await;
    let answers = server.raw("GET / HTTP/1.1\r\nHost: echo.loc").await;
    assert_eq!(answers.len(), 1);
    answers[0].assert_refused(400, "InvalidArgument");
    assert!(server.raw("").await.is_empty());
    assert!(server.raw("PRI * HTTP/2.0\r\n").await.is_empty());
    // Behind a request that was answered, too.
    let answers = server.raw(format!("{GOOD}GET /")).await;
    assert_eq!(answers.len(), 2);
    answers[1].assert_refused(400, "InvalidArgument");
}
