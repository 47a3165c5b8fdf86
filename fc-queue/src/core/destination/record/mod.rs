//! What a destination is told of a task that is over (`alibaba-fc.md` 3.5; `functiongraph-lambda.md` A5,
//! B6).

mod json;
mod source;

use bytes::Bytes;
use fc_core::{Dialect, Error, FailureType, Result, Timestamp};

use json::{Object, Value};
pub use source::Source;

use super::rfc3339;

/// Whose form a record has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordForm {
    /// Function Compute's: payloads are strings.
    FunctionCompute,
    /// FunctionGraph's: the same in snake case, with a textual time.
    FunctionGraph,
    /// Lambda's: payloads are nested JSON, with a version.
    Lambda,
}

impl From<Dialect> for RecordForm {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::FunctionCompute => Self::FunctionCompute,
            Dialect::FunctionGraph => Self::FunctionGraph,
        }
    }
}

/// How the function answered the last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// 200, also where the function failed; the platform's error otherwise.
    pub status: u16,
    /// How the function failed, if it did.
    pub failure: Option<FailureType>,
    /// What it answered.
    pub payload: &'a [u8],
}

/// What a destination is told of a task that is over.
///
/// A payload that the form cannot hold as it is stays whole, and a member that the clouds do not have
/// says how it is written: `requestPayloadEncoding` or `responsePayloadEncoding` (snake case in
/// FunctionGraph's form), `base64` for bytes that are no UTF-8, and, in Lambda's form, `text` for UTF-8
/// that is no JSON. Without the member a payload is what the cloud's form says.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the task was over.
    pub at: Timestamp,
    /// The request that submitted it.
    pub request_id: &'a str,
    /// Which function ran.
    pub source: Source<'a>,
    /// Why it is over, in the words of the retry policy; empty after a success of the two clouds.
    pub condition: &'a str,
    /// Attempts in all.
    pub approximate_invoke_count: u32,
    /// What the caller sent.
    pub request: &'a [u8],
    /// The last answer. `None`: nothing ever answered; Lambda's form then has no members for it, the
    /// others a status of 0 and an empty payload.
    pub answer: Option<Answer<'a>>,
}

impl Record<'_> {
    /// The record as JSON, its members in the documented order.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if it cannot be written.
    pub fn encode(&self, form: RecordForm) -> Result<Bytes> {
        let object = match form {
            RecordForm::FunctionCompute => self.cloud(form, &CAMEL),
            RecordForm::FunctionGraph => self.cloud(form, &SNAKE),
            RecordForm::Lambda => self.lambda(),
        };
        serde_json::to_vec(&object)
            .map(Bytes::from)
            .map_err(|error| Error::internal("the record was not written").with_source(error))
    }

    fn cloud(&self, form: RecordForm, names: &Names) -> Object<'_> {
        let timestamp = match form {
            RecordForm::FunctionCompute => Value::Number(self.at.as_unix_millis()),
            RecordForm::FunctionGraph | RecordForm::Lambda => Value::Text(rfc3339(self.at).into()),
        };
        let answer = self.answer.unwrap_or(Answer { status: 0, failure: None, payload: b"" });
        let failure = answer.failure.map_or("", FailureType::as_str);
        let mut object = Object::default();
        object.add("timestamp", timestamp);
        object.add(names.request_context, Value::Object(self.context(form, names)));
        object.payload(names.request, json::as_string(self.request));
        let mut context = Object::default();
        context.add(names.status_code, Value::Number(answer.status.into()));
        context.add(names.function_error, Value::Text(failure.into()));
        object.add(names.response_context, Value::Object(context));
        object.payload(names.response, json::as_string(answer.payload));
        object
    }

    fn lambda(&self) -> Object<'_> {
        let mut object = Object::default();
        object.add("version", Value::Text("1.0".into()));
        object.add("timestamp", Value::Text(rfc3339(self.at).into()));
        let context = self.context(RecordForm::Lambda, &CAMEL);
        object.add(CAMEL.request_context, Value::Object(context));
        object.payload(CAMEL.request, json::as_json(self.request));
        if let Some(answer) = self.answer {
            let mut context = Object::default();
            context.add(CAMEL.status_code, Value::Number(answer.status.into()));
            let version = self.source.executed_version();
            context.add("executedVersion", Value::Text(version.into()));
            if let Some(failure) = answer.failure {
                let word = if failure == FailureType::Handled { "Handled" } else { "Unhandled" };
                context.add(CAMEL.function_error, Value::Text(word.into()));
            }
            object.add(CAMEL.response_context, Value::Object(context));
            object.payload(CAMEL.response, json::as_json(answer.payload));
        }
        object
    }

    fn context(&self, form: RecordForm, names: &Names) -> Object<'_> {
        let mut object = Object::default();
        object.add(names.request_id, Value::Text(self.request_id.into()));
        object.add(names.function, Value::Text(self.source.name(form).into()));
        object.add("condition", Value::Text(self.condition.into()));
        let count = self.approximate_invoke_count;
        object.add(names.invoke_count, Value::Number(count.into()));
        object
    }
}

/// How the members are called.
struct Names {
    request_context: &'static str,
    request_id: &'static str,
    function: &'static str,
    invoke_count: &'static str,
    response_context: &'static str,
    status_code: &'static str,
    function_error: &'static str,
    /// A payload, and how it is written.
    request: (&'static str, &'static str),
    response: (&'static str, &'static str),
}

const CAMEL: Names = Names {
    request_context: "requestContext",
    request_id: "requestId",
    function: "functionArn",
    invoke_count: "approximateInvokeCount",
    response_context: "responseContext",
    status_code: "statusCode",
    function_error: "functionError",
    request: ("requestPayload", "requestPayloadEncoding"),
    response: ("responsePayload", "responsePayloadEncoding"),
};

const SNAKE: Names = Names {
    request_context: "request_context",
    request_id: "request_id",
    function: "function_urn",
    invoke_count: "approximate_invoke_count",
    response_context: "response_context",
    status_code: "status_code",
    function_error: "function_error",
    request: ("request_payload", "request_payload_encoding"),
    response: ("response_payload", "response_payload_encoding"),
};
