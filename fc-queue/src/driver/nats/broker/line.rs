//! Questions to a server, each with an answer in time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, ErrorCode};
use fc_core::{Clock, Error, ErrorKind, Result};
use futures_util::StreamExt;
use tokio::sync::watch;

/// The longest wait for one answer of the server. Whoever asked may give up before.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What became of a message.
#[derive(Debug)]
pub(in super::super) enum Appended {
    /// It is there.
    At(u64),
    /// Another is there, or an earlier try of it.
    Behind,
    /// The server has no room for it.
    Full(String),
    /// Nobody knows.
    Lost(String),
}

/// A connection over which is asked, and the time.
#[derive(Debug)]
pub(in super::super) struct Line {
    context: Context,
    /// Grows with each break of the connection: what was sent over it is answered to nobody.
    breaks: watch::Receiver<u64>,
    pub(in super::super) clock: Arc<dyn Clock>,
}

impl Line {
    pub(in super::super) fn new(
        context: Context,
        breaks: watch::Receiver<u64>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { context, breaks, clock }
    }

    /// Publishes a message to a stream.
    pub(in super::super) async fn publish(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Appended {
        let mut breaks = self.breaks.clone();
        breaks.mark_unchanged();
        let publish = async {
            match self.context.send_publish(subject, message).await {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            }
        };
        tokio::select! {
            biased;
            published = publish => appended(published.map(|ack| ack.sequence)),
            Ok(()) = breaks.changed() => Appended::Lost("the connection broke".into()),
        }
    }

    /// What the server answers, unless it does not in time, or the connection breaks.
    pub(in super::super) async fn within<F: Future>(
        &self,
        what: &str,
        answer: F,
    ) -> Result<F::Output> {
        let mut breaks = self.breaks.clone();
        breaks.mark_unchanged();
        let lost = async {
            if breaks.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let either = async {
            tokio::select! {
                biased;
                answer = answer => Some(answer),
                () = lost => None,
            }
        };
        let at = self.clock.now() + ANSWER_WITHIN;
        let why = match self.clock.with_deadline(at, either).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => "the connection broke".to_owned(),
            Err(_) => format!("no answer within {ANSWER_WITHIN:?}"),
        };
        let what = format!("NATS: {what}: {why}");
        Err(Error::new(ErrorKind::ResourceThrottled, what))
    }

    /// The messages of a stream from the first on, without their payloads, as long as `each` wants more.
    pub(in super::super) async fn replay(
        &self,
        stream: &Stream,
        mut each: impl FnMut(&jetstream::Message) -> Result<bool>,
    ) -> Result<()> {
        let config = pull::OrderedConfig {
            headers_only: true,
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        };
        let made = self.within("its consumer", stream.create_consumer(config)).await?;
        let consumer = made.map_err(|error| unread("its consumer", &error))?;
        let opened = self.within("its messages", consumer.messages()).await?;
        let mut messages = opened.map_err(|error| unread("its messages", &error))?;
        loop {
            let message = match self.within("its next message", messages.next()).await? {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(unread("its next message", &error)),
                None => return Err(Error::internal("NATS: the consumer ended")),
            };
            if !each(&message)? {
                return Ok(());
            }
        }
    }
}

/// The error of what could not be read.
pub(in super::super) fn unread(what: &str, error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::new(ErrorKind::ResourceThrottled, format!("NATS: {what}: {error}"))
}

fn appended(published: Result<u64, PublishError>) -> Appended {
    let error = match published {
        Ok(sequence) => return Appended::At(sequence),
        Err(error) => error,
    };
    if error.kind() == PublishErrorKind::WrongLastSequence {
        return Appended::Behind;
    }
    let source = std::error::Error::source(&error);
    let code = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
    let what = match code {
        Some(answer) => format!("{error}: {answer}"),
        None => error.to_string(),
    };
    match code.map(jetstream::Error::error_code) {
        Some(
            ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::STREAM_STORE_FAILED
            | ErrorCode::INSUFFICIENT_RESOURCES,
        ) => Appended::Full(what),
        _ => Appended::Lost(what),
    }
}
