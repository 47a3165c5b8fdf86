//! Answers from bytes: whatever the bytes, however they are cut, and as hyper's client reads them.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use proptest::prelude::*;

use super::incoming::Incoming;
use super::{Asked, Malformed};

/// How far an answer came.
#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    /// To its end; whether the connection can be used again.
    Whole {
        kept: bool,
    },
    /// The connection's end would be the answer's, or would break it off.
    Open {
        ends_with_connection: bool,
    },
    Malformed,
}

type Headers = Vec<(String, Vec<u8>)>;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Outcome {
    head: Option<(u16, Headers)>,
    body: Vec<u8>,
    end: End,
}

fn headers_of(headers: &HeaderMap) -> Headers {
    let mut all: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    all.sort();
    all
}

/// Reads `bytes` in pieces whose lengths are `cuts`, over and over.
fn read(bytes: &[u8], cuts: &[usize], asked: Asked) -> Outcome {
    let mut incoming = Incoming::new();
    let mut outcome =
        Outcome { head: None, body: Vec::new(), end: End::Open { ends_with_connection: false } };
    let mut spare = HeaderMap::new();
    let mut take = |incoming: &mut Incoming, outcome: &mut Outcome| -> Result<(), Malformed> {
        if outcome.head.is_none() {
            let Some(head) = incoming.head(asked, &mut spare)? else {
                return Ok(());
            };
            outcome.head = Some((head.status.as_u16(), headers_of(&head.headers)));
        }
        while let Some(data) = incoming.data()? {
            assert!(!data.is_empty());
            outcome.body.extend_from_slice(&data);
        }
        Ok(())
    };
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        let (now, later) = rest.split_at((*cut).max(1).min(rest.len()));
        incoming.reserve();
        incoming.input.extend_from_slice(now);
        incoming.filled(now.len());
        if take(&mut incoming, &mut outcome).is_err() {
            outcome.end = End::Malformed;
            return outcome;
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    outcome.end = if outcome.head.is_some() && incoming.is_over() {
        End::Whole { kept: incoming.may_go_on() }
    } else {
        let ends_with_connection = outcome.head.is_some() && incoming.close();
        End::Open { ends_with_connection }
    };
    outcome
}

/// What hyper's client makes of `bytes` and the connection's end behind them.
async fn read_by_hyper(bytes: &[u8], method: Method) -> Option<Outcome> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (ours, mut theirs) = tokio::io::duplex(bytes.len().max(1) + 1024);
    let io = hyper_util::rt::TokioIo::new(ours);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driven = tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri("/");
    let request = request.header("host", "h").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let answering = tokio::spawn(sender.send_request(request));
    // Not before it is asked.
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        theirs.read_buf(&mut asked).await.unwrap();
    }
    theirs.write_all(bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    let answer = answering.await.unwrap().ok()?;
    let head = Some((answer.status().as_u16(), headers_of(answer.headers())));
    let body = answer.into_body().collect().await.ok()?.to_bytes().to_vec();
    driven.abort();
    Some(Outcome { head, body, end: End::Open { ends_with_connection: true } })
}

/// A valid answer's parts.
#[derive(Clone, Debug)]
struct Answer {
    interim: Vec<u16>,
    status: u16,
    version: u8,
    reason: String,
    headers: Vec<(String, String)>,
    framing: Framing,
    body: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    Length,
    Chunked,
    Close,
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for status in &self.interim {
            all.extend_from_slice(
                format!("HTTP/1.1 {status} Wait\r\nx-hint: 1\r\n\r\n").as_bytes(),
            );
        }
        let mut head = format!("HTTP/1.{} {} {}\r\n", self.version, self.status, self.reason);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let length: usize = self.body.iter().map(Vec::len).sum();
        match self.framing {
            Framing::Length => head += &format!("Content-Length:{length} \r\n"),
            Framing::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Framing::Close => {}
        }
        all.extend_from_slice(format!("{head}\r\n").as_bytes());
        for (index, piece) in self.body.iter().enumerate() {
            match self.framing {
                Framing::Chunked if piece.is_empty() => {}
                Framing::Chunked => {
                    let extension = if index % 2 == 0 { ";a=b" } else { "" };
                    all.extend_from_slice(format!("{:X}{extension}\r\n", piece.len()).as_bytes());
                    all.extend_from_slice(piece);
                    all.extend_from_slice(b"\r\n");
                }
                _ => all.extend_from_slice(piece),
            }
        }
        if self.framing == Framing::Chunked {
            let trailer = if length.is_multiple_of(2) { "x-trailer: 1\r\n" } else { "" };
            all.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
        }
        all
    }

    fn expected(&self) -> Outcome {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.clone().into_bytes()))
            .collect();
        let body = self.body.concat();
        if self.framing == Framing::Length && body.is_empty() {
            headers.push(("content-length".into(), b"0".to_vec()));
        }
        headers.sort();
        let end = match self.framing {
            Framing::Close => End::Open { ends_with_connection: true },
            _ => End::Whole { kept: self.version == 1 },
        };
        Outcome { head: Some((self.status, headers)), body, end }
    }
}

prop_compose! {
    fn answers()(
        interim in prop::collection::vec(prop_oneof![Just(100u16), Just(102), Just(103)], 0..3),
        status in prop_oneof![Just(200u16), Just(404), Just(500), 201..204u16, 305..600u16],
        is_old in prop::bool::weighted(0.1),
        reason in "[A-Za-z ]{0,10}",
        headers in prop::collection::vec(("[xX]-[a-zA-Z0-9]{1,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8),
        framing in prop_oneof![Just(Framing::Length), Just(Framing::Chunked), Just(Framing::Close)],
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..5),
    ) -> Answer {
        // HTTP/1.0 has no chunks.
        let version = u8::from(!(is_old && framing != Framing::Chunked));
        Answer { interim, status, version, reason, headers, framing, body }
    }
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..60, 1..8)
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![Just(Asked::Other), Just(Asked::Head), Just(Asked::Connect)]
}

/// Bytes that are nearly an answer.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "HTTP/1\\.[01] [0-9]{3}( OK)?\r?\n",
        "(content-length|transfer-encoding|connection|x): ?([0-9]{1,3}|chunked|close|gzip)\r?\n",
        "[0-9a-fA-F]{1,3}(;[a-z]{0,3})?\r?\n",
        "\r?\n",
    ];
    let piece = prop_oneof![
        answers().prop_map(|answer| answer.bytes()),
        prop::collection::vec(any::<u8>(), 0..20),
        text.prop_map(String::into_bytes),
    ];
    let pieces = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    (pieces, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut bytes, changes)| {
            for (index, byte) in changes {
                if !bytes.is_empty() {
                    let at = index.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// T4: nobody who chooses how his bytes are cut chooses what they mean.
    #[test]
    fn t4_any_bytes_mean_the_same_however_they_are_cut(
        bytes in nearly(), first in cuts(), second in cuts(), asked in asked(),
    ) {
        prop_assume!(!bytes.is_empty());
        let whole = read(&bytes, &[bytes.len()], asked);
        prop_assert_eq!(&read(&bytes, &first, asked), &whole);
        prop_assert_eq!(&read(&bytes, &second, asked), &whole);
        prop_assert_eq!(&read(&bytes, &[1], asked), &whole);
    }

    #[test]
    fn run_2_a_valid_answer_is_read_to_its_end(answer in answers(), cuts in cuts()) {
        prop_assert_eq!(read(&answer.bytes(), &cuts, Asked::Other), answer.expected());
    }

    /// What follows an answer unasked belongs to nobody: not to it, and not to the next.
    #[test]
    fn t4_a_connection_that_says_more_than_was_asked_is_not_kept(
        answer in answers(), cuts in cuts(), more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        prop_assume!(answer.framing != Framing::Close);
        let outcome = read(&[answer.bytes(), more].concat(), &cuts, Asked::Other);
        let expected = Outcome { end: End::Whole { kept: false }, ..answer.expected() };
        prop_assert_eq!(outcome, expected);
    }

    #[test]
    fn run_2_an_answer_to_head_ends_with_its_head(answer in answers(), cuts in cuts()) {
        let bytes = Answer { body: Vec::new(), framing: Framing::Close, ..answer.clone() }.bytes();
        let outcome = read(&bytes, &cuts, Asked::Head);
        prop_assert_eq!(outcome.end, End::Whole { kept: answer.version == 1 });
        prop_assert!(outcome.body.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn run_2_hypers_client_reads_valid_answers_alike(answer in answers(), is_head: bool) {
        let bytes = if is_head {
            Answer { body: Vec::new(), framing: Framing::Length, ..answer }.bytes()
        } else {
            answer.bytes()
        };
        let (asked, method) =
            if is_head { (Asked::Head, Method::HEAD) } else { (Asked::Other, Method::GET) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let theirs = runtime.block_on(read_by_hyper(&bytes, method));
        let mut theirs = theirs.expect("hyper takes it");
        let ours = read(&bytes, &[bytes.len()], asked);
        // What belongs to the connection, or says what the body says itself, is not handed on.
        let (_, headers) = theirs.head.as_mut().unwrap();
        headers.retain(|(name, _)| name != "transfer-encoding");
        if !ours.body.is_empty() {
            headers.retain(|(name, _)| name != "content-length");
        }
        prop_assert_eq!(ours.head, theirs.head);
        prop_assert_eq!(ours.body, theirs.body);
    }
}

#[test]
fn run_2_what_a_head_may_hold_is_bounded() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{fields}\r\n");
    let fields = |count: usize| head(&"x: y\r\n".repeat(count));
    let long = |bytes: usize| {
        let without = head("x: \r\n").len();
        head(&format!("x: {}\r\n", "y".repeat(bytes - without)))
    };
    for (text, fits) in [
        (fields(99), true),
        (fields(100), false),
        (long(64 * 1024), true),
        (long(64 * 1024 + 1), false),
    ] {
        for cuts in [&[100_000][..], &[1], &[8_192], &[1_000, 7]] {
            let outcome = read(text.as_bytes(), cuts, Asked::Other);
            let end = if fits { End::Whole { kept: true } } else { End::Malformed };
            assert_eq!(outcome.end, end, "{} bytes", text.len());
        }
    }
}

#[test]
fn run_2_the_connection_is_kept_where_both_versions_say_so() {
    for (version, connection, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("HTTP/{version} 200 OK\r\ncontent-length: 1\r\n{connection}\r\nx");
        let outcome = read(text.as_bytes(), &[9], Asked::Other);
        assert_eq!(outcome.end, End::Whole { kept }, "{version} {connection}");
        assert_eq!(outcome.head, Some((200, Vec::new())), "{version} {connection}");
    }
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n";
    let outcome = read(switched, &[9], Asked::Other);
    assert_eq!(outcome.end, End::Whole { kept: false });
    let outcome = read(b"HTTP/1.1 200 OK\r\n\r\n", &[9], Asked::Connect);
    assert_eq!(outcome.end, End::Whole { kept: false });
}

#[test]
fn run_2_what_belongs_to_one_hop_is_not_in_the_answer() {
    let text = "HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nconnection: keep-alive\r\nX-Own: 1\r\nx-hop: 1\r\n\
                Connection: X-Hop, content-type\r\nContent-Type: text/plain\r\nte: x\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let outcome = read(text.as_bytes(), &[text.len()], Asked::Other);
    let headers = [("content-type", "text/plain"), ("x-own", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(outcome.head, Some((200, headers.to_vec())));
}

#[test]
fn t4_heads_that_are_none_are_refused() {
    for text in [
        "SSH-2.0-OpenSSH_9.2",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: 1\r\n y\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: \u{0}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        assert_eq!(read(text.as_bytes(), &[5], Asked::Other).end, End::Malformed, "{text:?}");
    }
}
