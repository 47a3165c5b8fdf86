//! Answers, parsed plainly.

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::guarded;

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["Code"].as_str().unwrap_or_default().to_owned()
    }

    /// A platform error of the Function Compute dialect, complete.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        let id = self.header("x-fc-request-id");
        assert!(id.parse::<fc_core::RequestId>().is_ok(), "{self:?}");
        assert_eq!(self.json()["RequestId"], id);
        assert!(!self.json()["Message"].as_str().unwrap().is_empty());
        assert_eq!(self.header("content-type"), "application/json");
    }

    /// One answer from the front of `bytes`, and its length.
    pub fn parse(bytes: &[u8], is_head: bool) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        let (body, length) = if is_head || status == 204 || status == 304 {
            (Bytes::new(), 0)
        } else if headers.contains_key("transfer-encoding") {
            dechunk(&bytes[end..])?
        } else {
            let length = headers["content-length"].to_str().unwrap().parse().unwrap();
            let body = bytes.get(end..end + length)?;
            (Bytes::copy_from_slice(body), length)
        };
        Some((Self { status, headers, body }, end + length))
    }

    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            if let Some(rest) = bytes.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
                bytes = rest;
                continue;
            }
            let (answer, length) = Self::parse(bytes, false)
                .unwrap_or_else(|| panic!("half an answer: {:?}", String::from_utf8_lossy(bytes)));
            all.push(answer);
            bytes = &bytes[length..];
        }
        all
    }
}

fn dechunk(bytes: &[u8]) -> Option<(Bytes, usize)> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?, 16).ok()?;
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        if size == 0 {
            return (at <= bytes.len()).then(|| (body.into(), at));
        }
    }
}

/// Reads the next answer of a connection that stays open.
pub async fn next_answer(stream: &mut TcpStream, kept: &mut Vec<u8>) -> Answer {
    guarded(async {
        loop {
            if let Some((answer, length)) = Answer::parse(kept, false) {
                kept.drain(..length);
                return answer;
            }
            assert_ne!(stream.read_buf(kept).await.unwrap(), 0, "closed before the answer");
        }
    })
    .await
}
