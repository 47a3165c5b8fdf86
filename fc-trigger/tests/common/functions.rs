//! Functions that are told by their names what to do, and the catalog that has them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    AccountId, Body, Catalog, Context, Error, ErrorKind, FailureType, FunctionVersion, InstanceId,
    Invocation, Invoke, Qualifier, Reply, Report, Result, Target, VersionId,
};

use super::{Running, Seen, Witness};

#[derive(Debug)]
pub struct Functions {
    pub versions: HashMap<String, Arc<FunctionVersion>>,
    pub witness: Arc<Witness>,
}

impl Catalog for Functions {
    fn resolve(
        &self,
        _: &AccountId,
        name: &str,
        qualifier: &Qualifier,
    ) -> Result<Arc<FunctionVersion>> {
        match qualifier {
            Qualifier::Version(VersionId::LATEST) => {}
            Qualifier::Alias(alias) if &**alias == "prod" => {}
            Qualifier::Alias(_) => {
                return Err(Error::new(ErrorKind::AliasNotFound, "no such alias"));
            }
            Qualifier::Version(_) => {
                return Err(Error::new(ErrorKind::VersionNotFound, "no such version"));
            }
        }
        if name == "disabled" {
            return Err(Error::new(ErrorKind::AccessDenied, "invocation is disabled"));
        }
        self.versions.get(name).cloned().ok_or_else(|| Error::function_not_found(name))
    }

    fn is_current(&self, _: &FunctionVersion) -> bool {
        true
    }
}

/// One frame, and nothing more until the witness has seen a second request.
pub struct Quiet(Arc<Witness>, bool);

impl http_body::Body for Quiet {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        if !std::mem::replace(&mut self.1, true) {
            return std::task::Poll::Ready(Some(Ok(http_body::Frame::data("quiet".into()))));
        }
        if self.0.seen.lock().unwrap().len() > 1 {
            return std::task::Poll::Ready(None);
        }
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            waker.wake();
        });
        std::task::Poll::Pending
    }
}

/// Data, and trailers that only the platform may set.
pub struct Trailing(u8);

impl http_body::Body for Trailing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        self.0 += 1;
        std::task::Poll::Ready(match self.0 {
            1 => Some(Ok(http_body::Frame::data(Bytes::from_static(b"data")))),
            2 => {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("x-fc-request-id", "forged".parse().unwrap());
                Some(Ok(http_body::Frame::trailers(trailers)))
            }
            _ => None,
        })
    }
}

pub struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        cx.waker().wake_by_ref();
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

impl Functions {
    fn streaming<B>(&self, stream: B) -> Reply
    where
        B: http_body::Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let witness = self.witness.clone();
        let body = Body::stream(stream)
            .guarded(move |ending| witness.endings.lock().unwrap().push(ending));
        Reply::new(http::Response::new(body))
    }
}

#[async_trait]
impl Invoke for Functions {
    async fn invoke(&self, _: Context, invocation: Invocation) -> Result<Reply> {
        let mut running = Running::new(&self.witness);
        let Target::Resolved { version, qualifier } = &invocation.target else {
            panic!("the gateway resolves");
        };
        let function = version.name().to_string();
        let (head, mut body) = invocation.request.into_parts();
        let mut seen = Seen {
            function: function.clone(),
            qualifier: qualifier.to_string(),
            kind: invocation.kind,
            method: head.method.to_string(),
            uri: head.uri.to_string(),
            headers: head.headers.clone(),
            body: None,
            trailers: false,
            client_ip: invocation.client_ip,
        };
        if function == "hang" {
            self.witness.seen.lock().unwrap().push(seen.clone());
            std::future::pending::<()>().await;
        }
        if function == "gate" {
            self.witness.seen.lock().unwrap().push(seen);
            self.witness.release.notified().await;
            running.1 = true;
            return Ok(Reply::new(http::Response::new(Body::from("released"))));
        }
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) if frame.is_data() => all.extend_from_slice(&frame.into_data().unwrap()),
                Ok(_) => seen.trailers = true,
                Err(error) => {
                    running.1 = true;
                    self.witness.body_errors.lock().unwrap().push(error.to_string());
                    // As a runtime would put it, to be overruled by the gateway.
                    return Err(
                        Error::new(ErrorKind::FunctionCrashed, "the body broke").with_source(error)
                    );
                }
            }
        }
        let all = Bytes::from(all);
        seen.body = Some(all.clone());
        self.witness.seen.lock().unwrap().push(seen);
        running.1 = true;
        let text = |text: &'static str| Reply::new(http::Response::new(Body::from(text)));
        match function.as_str() {
            "crash" => {
                let tail =
                    (invocation.log == fc_core::LogType::Tail).then(|| "FC Invoke End".into());
                let message = "Process exited unexpectedly";
                Err(Error::new(ErrorKind::FunctionCrashed, message).with_log_tail(tail))
            }
            "init" => Err(Error::new(ErrorKind::InitializationError, "initializer failed")),
            "throttled" => Err(Error::new(ErrorKind::ResourceExhausted, "over the quota")),
            "busy" => Err(Error::new(ErrorKind::ResourceThrottled, "no capacity")),
            "handled" => {
                let mut reply = text(r#"{"errorMessage":"mine"}"#);
                reply.failure = Some(FailureType::Handled);
                Ok(reply)
            }
            "rude" => {
                let mut reply = text("rude");
                *reply.response.status_mut() = http::StatusCode::CREATED;
                for (name, value) in RUDE {
                    reply.response.headers_mut().append(*name, value.parse().unwrap());
                }
                Ok(reply)
            }
            "redirect" => {
                let mut reply = text("");
                *reply.response.status_mut() = http::StatusCode::FOUND;
                reply
                    .response
                    .headers_mut()
                    .insert("location", "https://elsewhere.example".parse().unwrap());
                Ok(reply)
            }
            "switch" => {
                let mut reply = text("");
                *reply.response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
                Ok(reply)
            }
            // "headers-8192": so many bytes of names and values in all.
            _ if function.starts_with("headers-") => {
                let size: usize = function["headers-".len()..].parse().unwrap();
                let mut reply = text("sized");
                let value = "v".repeat(size - 1);
                reply.response.headers_mut().insert("h", value.parse().unwrap());
                Ok(reply)
            }
            _ if function.starts_with("body-") => {
                let size: usize = function["body-".len()..].parse().unwrap();
                Ok(Reply::new(http::Response::new(Body::from(vec![b'b'; size]))))
            }
            "endless" => Ok(self.streaming(Endless)),
            "trailing" => Ok(self.streaming(Trailing(0))),
            "quiet" => Ok(self.streaming(Quiet(self.witness.clone(), false))),
            _ => {
                let mut reply = Reply::new(http::Response::new(Body::from(all)));
                reply.report = Report {
                    instance: Some(InstanceId::new("c-1").unwrap()),
                    version: VersionId::LATEST,
                    ran: Duration::from_millis(12),
                    memory_bytes: Some(9_646_899),
                    log_tail: Some(Bytes::from_static(b"FC Invoke End")),
                    ..Report::default()
                };
                Ok(reply)
            }
        }
    }
}

/// HTT-3: what a function cannot set, beside what it can.
pub const RUDE: &[(&str, &str)] = &[
    ("x-fc-request-id", "forged"),
    ("X-Fc-Error-Type", "forged"),
    ("x_fc_anything", "forged"),
    ("connection", "close"),
    ("content-length", "3"),
    ("date", "yesterday"),
    ("keep-alive", "timeout=9"),
    ("server", "forged"),
    ("upgrade", "websocket"),
    ("content-disposition", "attachment; filename=evil"),
    ("content-disposition", "inline"),
    ("content-type", "text/x-rude"),
    ("x-own", "kept"),
];

#[derive(Debug)]
pub struct Gatekeeper(pub Arc<Witness>, pub bool);

#[async_trait]
impl fc_core::Authorize for Gatekeeper {
    async fn authorize(
        &self,
        _: Context,
        head: &http::request::Parts,
        action: fc_core::Action<'_>,
    ) -> Result<()> {
        let action = format!("{action:?}");
        let action = action.split(['(', ' ']).next().unwrap().to_owned();
        self.0.authorized.lock().unwrap().push((action, head.headers.clone()));
        if self.1 { Ok(()) } else { Err(Error::new(ErrorKind::AccessDenied, "no")) }
    }
}

pub const NAMES: &[&str] = &[
    "echo",
    "hang",
    "gate",
    "crash",
    "init",
    "throttled",
    "busy",
    "handled",
    "rude",
    "redirect",
    "switch",
    "endless",
    "trailing",
    "quiet",
    "headers-8191",
    "headers-8192",
    "headers-8193",
    "body-6291556",
    "body-6291557",
    "body-1000",
];
