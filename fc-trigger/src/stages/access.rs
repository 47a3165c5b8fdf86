//! One line a request, where somebody listens.

use fc_core::{Body, Ending, FunctionVersion, RequestId};
use http::Response;
use http::request::Parts;

/// What the client that went away is said to have got (INV-8).
const CLIENT_CLOSED: u16 = 499;

/// The access log's entry of one request; nothing at all while the target `fc::access` is disabled.
/// Dropped before the answer, it says that the client went away.
#[derive(Debug)]
pub(super) struct Access(Option<Box<Entry>>);

#[derive(Debug)]
struct Entry {
    id: RequestId,
    method: http::Method,
    function: Option<(fc_core::FunctionName, fc_core::VersionId)>,
    status: u16,
    bytes: Option<u64>,
}

impl Access {
    pub(super) fn begin(id: RequestId, head: &Parts) -> Self {
        if !tracing::enabled!(target: "fc::access", tracing::Level::DEBUG) {
            return Self(None);
        }
        Self(Some(Box::new(Entry {
            id,
            method: head.method.clone(),
            function: None,
            status: CLIENT_CLOSED,
            bytes: None,
        })))
    }

    pub(super) fn function(&mut self, version: &FunctionVersion) {
        if let Some(entry) = &mut self.0 {
            entry.function = Some((version.name().clone(), version.id()));
        }
    }

    /// The line is written when the body is over.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        let Some(mut entry) = self.0.take() else {
            return response;
        };
        entry.status = response.status().as_u16();
        entry.bytes = response.body().known_length();
        response.map(|body| {
            body.guarded(move |ending| {
                if ending == Ending::Aborted {
                    entry.status = CLIENT_CLOSED;
                }
                entry.write();
            })
        })
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.write();
        }
    }
}

impl Entry {
    fn write(&self) {
        let function = self.function.as_ref();
        tracing::event!(
            target: "fc::access",
            tracing::Level::DEBUG,
            request_id = %self.id,
            method = %self.method,
            function = function.map(|(name, _)| name.as_str()),
            version = function.map(|(_, id)| id.number()),
            status = self.status,
            bytes = self.bytes,
        );
    }
}
