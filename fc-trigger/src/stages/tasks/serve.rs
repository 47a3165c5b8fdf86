//! Authorise, prove that the function exists, ask the port, answer.

use std::sync::Arc;

use fc_core::{
    AccountId, Action, AsyncConfig, AsyncTask, Body, Context, Error, ErrorKind, FunctionName, Page,
    Qualifier, Result, StoredAsyncConfig,
};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{Operation, Order, shown};
use crate::gateway::Shared;
use crate::stages::refusal::Refusal;
use crate::stages::{Exchange, answer, resolve};

/// Most bytes of a configuration: four fields and two destinations of 512 characters
/// (`alibaba-fc.md` 1.3) fit many times.
const CONFIG_BYTES_MAX: u64 = 16 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskList {
    tasks: Vec<AsyncTask>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigList {
    configs: Vec<StoredAsyncConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Exchange {
    /// Carries out what is asked of tasks and their settings.
    pub(in crate::stages) async fn manage(
        &mut self,
        order: Box<Order>,
    ) -> Result<Response<Body>, Refusal> {
        let Order { tasks, operation } = *order;
        let shared = Arc::clone(&self.call.link().shared);
        let account = shared.config.account;
        let cx = Context::new(self.id);
        if let Some(authorize) = &shared.ports.authorize {
            authorize.authorize(cx, &self.head, operation.action(&account)).await?;
        }
        match operation {
            Operation::ListTasks { function, query } => {
                let gone = gone(&shared, &function)?;
                let is_first = query.next_token.is_none();
                let page = tasks.tasks(cx, account, &function, query).await?;
                match gone {
                    Some(gone) if is_first && page.items.is_empty() => Err(gone.into()),
                    _ => {
                        let Page { items: tasks, next_token } = page;
                        self.json(&TaskList { tasks, next_token })
                    }
                }
            }
            Operation::GetTask { function, id, qualifier } => {
                let gone = gone(&shared, &function)?;
                let found = tasks.task(cx, account, &function, &id).await;
                let found = found.and_then(|task| of_qualifier(task, qualifier.as_ref()));
                self.json(&or_gone(found, gone)?)
            }
            Operation::StopTask { function, id, qualifier } => {
                let gone = gone(&shared, &function)?;
                let stopped = async {
                    if qualifier.is_some() {
                        let task = tasks.task(cx, account, &function, &id).await?;
                        of_qualifier(task, qualifier.as_ref())?;
                    }
                    tasks.stop(cx, account, &function, &id).await
                };
                or_gone(stopped.await, gone)?;
                Ok(self.empty(StatusCode::OK))
            }
            Operation::PutConfig { function, qualifier } => {
                prove(&shared, &function, &qualifier)?;
                let config = self.config().await?;
                let stored = tasks.configure(cx, account, &function, &qualifier, config).await?;
                self.json(&stored)
            }
            Operation::GetConfig { function, qualifier } => {
                prove(&shared, &function, &Qualifier::default())?;
                let stored = tasks.configuration(cx, account, &function, &qualifier).await?;
                self.json(&stored)
            }
            Operation::DeleteConfig { function, qualifier } => {
                prove(&shared, &function, &Qualifier::default())?;
                tasks.unconfigure(cx, account, &function, &qualifier).await?;
                Ok(self.empty(StatusCode::NO_CONTENT))
            }
            Operation::ListConfigs { function, limit, next_token } => {
                if let Some(function) = &function {
                    prove(&shared, function, &Qualifier::default())?;
                }
                let page =
                    tasks.configurations(cx, account, function.as_ref(), limit, next_token).await?;
                let Page { items: configs, next_token } = page;
                self.json(&ConfigList { configs, next_token })
            }
        }
    }

    /// The configuration that the request's body is.
    async fn config(&mut self) -> Result<AsyncConfig> {
        let (body, _) = self.inbound.take();
        let kind = ErrorKind::EntityTooLarge;
        let (body, _) = body.limited("request body", CONFIG_BYTES_MAX, kind)?;
        let bytes = body.read(CONFIG_BYTES_MAX).await?;
        let refused =
            |error: serde_json::Error| Error::invalid("request body", shown(&error.to_string()));
        let config = serde_json::from_slice(&bytes).map_err(refused)?;
        // A list would be taken for an object whose fields stand in order.
        if has_list(&serde_json::from_slice(&bytes).map_err(refused)?) {
            return Err(Error::invalid("request body", "has a list, where objects are expected"));
        }
        Ok(config)
    }

    fn json(&self, value: &impl Serialize) -> Result<Response<Body>, Refusal> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::internal("an answer is no JSON").with_source(error))?;
        let mut response = self.empty(StatusCode::OK);
        response.headers_mut().insert(CONTENT_TYPE, answer::JSON);
        *response.body_mut() = Body::from(bytes);
        Ok(response)
    }

    fn empty(&self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::EMPTY);
        *response.status_mut() = status;
        answer::stamp(&mut response, self.id, self.call.link().shared.config.limits.dialect);
        response
    }
}

impl Operation {
    fn action<'a>(&'a self, account: &'a AccountId) -> Action<'a> {
        match self {
            Self::ListTasks { function, .. } => Action::ListAsyncTasks { account, function },
            Self::GetTask { function, id: task, .. } => {
                Action::GetAsyncTask { account, function, task }
            }
            Self::StopTask { function, id: task, .. } => {
                Action::StopAsyncTask { account, function, task }
            }
            Self::PutConfig { function, qualifier } => {
                Action::PutFunctionAsyncInvokeConfig { account, function, qualifier }
            }
            Self::GetConfig { function, qualifier } => {
                Action::GetFunctionAsyncInvokeConfig { account, function, qualifier }
            }
            Self::DeleteConfig { function, qualifier } => {
                Action::DeleteFunctionAsyncInvokeConfig { account, function, qualifier }
            }
            Self::ListConfigs { function, .. } => {
                let function = function.as_ref();
                Action::ListFunctionAsyncInvokeConfigs { account, function }
            }
        }
    }
}

fn has_list(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Array(_) => true,
        serde_json::Value::Object(fields) => fields.values().any(has_list),
        _ => false,
    }
}

/// That the function has such a version or alias. One that may not be invoked is there all the same.
fn prove(shared: &Shared, function: &FunctionName, qualifier: &Qualifier) -> Result<()> {
    match resolve(shared, function.as_str(), qualifier) {
        Err(error) if error.kind() != ErrorKind::AccessDenied => Err(error),
        _ => Ok(()),
    }
}

/// The error that the function does not exist, if it does not. Its tasks outlive it, so whoever asks
/// for them hears of it only if there are none.
fn gone(shared: &Shared, function: &FunctionName) -> Result<Option<Error>> {
    match prove(shared, function, &Qualifier::default()) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::FunctionNotFound => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// `found`, or in the place of a missing task that the function is missing.
fn or_gone<T>(found: Result<T>, gone: Option<Error>) -> Result<T> {
    match (found, gone) {
        (Err(error), Some(gone)) if error.kind() == ErrorKind::TaskNotFound => Err(gone),
        (found, _) => found,
    }
}

/// The task, if it was asked of `qualifier`.
fn of_qualifier(task: AsyncTask, qualifier: Option<&Qualifier>) -> Result<AsyncTask> {
    match qualifier {
        Some(qualifier) if qualifier.to_string() != task.qualifier => {
            let message = format!("there is no task '{}' of '{qualifier}'", shown(&task.task_id));
            Err(Error::new(ErrorKind::TaskNotFound, message))
        }
        _ => Ok(task),
    }
}
