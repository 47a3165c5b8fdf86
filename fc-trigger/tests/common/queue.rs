//! Somebody who queues, and somebody who knows of tasks: both remember what they were asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    AccountId, AsyncConfig, AsyncTask, Asynchronous, Body, Context, Error, ErrorKind, FailureType,
    FunctionName, Invocation, InvocationKind, Invoke, LogType, Page, Qualifier, Reply, Result,
    StoredAsyncConfig, Target, TaskEvent, TaskQuery, TaskStatus, Tasks,
};
use http::HeaderMap;

/// An invocation that was queued.
#[derive(Clone, Debug)]
pub struct Enqueued {
    pub request_id: String,
    pub function: String,
    pub qualifier: String,
    pub kind: InvocationKind,
    pub asynchronous: Asynchronous,
    pub log: LogType,
    pub client_ip: Option<std::net::IpAddr>,
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Keeps what it is given, unless the function's name says how it is to fail.
#[derive(Debug, Default)]
pub struct Enqueuer {
    pub kept: Mutex<Vec<Enqueued>>,
    ids: Mutex<BTreeSet<(String, String)>>,
}

impl Enqueuer {
    pub fn kept(&self) -> Vec<Enqueued> {
        self.kept.lock().unwrap().clone()
    }

    pub fn last(&self) -> Enqueued {
        self.kept().last().expect("nothing is queued").clone()
    }
}

#[async_trait]
impl Invoke for Enqueuer {
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let Target::Resolved { version, qualifier } = &invocation.target else {
            panic!("the gateway resolves");
        };
        let function = version.name().to_string();
        let asynchronous = *invocation.asynchronous.expect("only what is to be queued comes here");
        let (head, body) = invocation.request.into_parts();
        assert!(body.is_in_memory(), "the body was not awaited");
        let body = body.read(u64::MAX).await?;
        let answered = |status| {
            let mut reply = Reply::new(http::Response::new(Body::from("not for the caller")));
            *reply.response.status_mut() = status;
            reply.response.headers_mut().insert("x-own", "not for the caller".parse().unwrap());
            reply
        };
        match function.as_str() {
            "throttled" => return Err(Error::new(ErrorKind::ResourceExhausted, "too many tasks")),
            "busy" => return Err(Error::new(ErrorKind::ResourceThrottled, "no room")),
            "crash" => return Err(Error::internal("the disk is full")),
            "init" => return Err(Error::new(ErrorKind::Unknown, "the answer was lost")),
            // Who breaks the contract.
            "rude" => return Ok(answered(http::StatusCode::OK)),
            "handled" => {
                let mut reply = answered(http::StatusCode::ACCEPTED);
                reply.failure = Some(FailureType::Unhandled);
                return Ok(reply);
            }
            // Kept, and nobody said how it is called.
            "quiet" => return Ok(answered(http::StatusCode::ACCEPTED)),
            _ => {}
        }
        let id = asynchronous.task_id.clone().unwrap_or_else(|| cx.request_id.to_string());
        if !self.ids.lock().unwrap().insert((function.clone(), id.clone())) {
            return Err(Error::new(ErrorKind::TaskAlreadyExists, format!("task '{id}' exists")));
        }
        self.kept.lock().unwrap().push(Enqueued {
            request_id: cx.request_id.to_string(),
            function,
            qualifier: qualifier.to_string(),
            kind: invocation.kind,
            asynchronous,
            log: invocation.log,
            client_ip: invocation.client_ip,
            method: head.method.to_string(),
            uri: head.uri.to_string(),
            headers: head.headers,
            body,
        });
        let mut reply = answered(http::StatusCode::ACCEPTED);
        reply.response.headers_mut().insert("x-fc-async-task-id", id.parse().unwrap());
        Ok(reply)
    }
}

/// Tasks and settings in memory.
#[derive(Debug, Default)]
pub struct KnownTasks {
    pub tasks: Mutex<BTreeMap<(String, String), AsyncTask>>,
    pub configs: Mutex<BTreeMap<(String, String), StoredAsyncConfig>>,
    /// What was called, in order, with what matters of its arguments.
    pub calls: Mutex<Vec<String>>,
    pub queries: Mutex<Vec<TaskQuery>>,
}

/// A task of `function`.
pub fn task(function: &str, id: &str, status: TaskStatus) -> AsyncTask {
    AsyncTask {
        task_id: id.into(),
        request_id: "1-67a59f35-150c1267-f381ba1c085c".into(),
        function_arn: format!("acs:fc:local:1234567890:functions/{function}"),
        qualifier: "LATEST".into(),
        status,
        started_time: 1_700_000_000_000,
        end_time: None,
        duration_ms: None,
        already_retried_times: 1,
        instance_id: None,
        task_payload: Some("{\"a\":1}".into()),
        return_payload: None,
        task_error_message: None,
        destination_status: None,
        events: vec![TaskEvent {
            event_id: 1,
            status: TaskStatus::Enqueued,
            timestamp: 1_700_000_000_000,
            event_detail: String::new(),
        }],
    }
}

impl KnownTasks {
    pub fn put(&self, function: &str, task: AsyncTask) {
        self.tasks.lock().unwrap().insert((function.into(), task.task_id.clone()), task);
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Writes the call down, and fails it if the function's name says so.
    fn called(&self, account: AccountId, call: String, function: &FunctionName) -> Result<()> {
        assert_eq!(account, super::account());
        self.calls.lock().unwrap().push(call);
        match function.as_str() {
            "throttled" => Err(Error::new(ErrorKind::ResourceExhausted, "too many requests")),
            "crash" => Err(Error::internal("the store is gone")),
            _ => Ok(()),
        }
    }

    fn find(&self, function: &FunctionName, id: &str) -> Result<AsyncTask> {
        let found = self.tasks.lock().unwrap().get(&(function.to_string(), id.into())).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::TaskNotFound, format!("no task '{id}'")))
    }
}

#[async_trait]
impl Tasks for KnownTasks {
    async fn task(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<AsyncTask> {
        self.called(account, format!("task {function} {id}"), function)?;
        self.find(function, id)
    }

    async fn tasks(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        query: TaskQuery,
    ) -> Result<Page<AsyncTask>> {
        self.called(account, format!("tasks {function}"), function)?;
        self.queries.lock().unwrap().push(query.clone());
        if query.next_token.as_deref() == Some("unknown") {
            return Err(Error::invalid("nextToken", "is none that a page gave"));
        }
        let tasks = self.tasks.lock().unwrap();
        let fits = |task: &&AsyncTask| query.status.is_none_or(|status| task.status == status);
        let of_function = tasks.iter().filter(|((name, _), _)| name == function.as_str());
        let mut items: Vec<AsyncTask> =
            of_function.map(|(_, task)| task).filter(fits).cloned().collect();
        let next_token = (items.len() > query.limit as usize).then(|| "a+/=&%".to_owned());
        items.truncate(query.limit as usize);
        Ok(Page { items, next_token })
    }

    async fn stop(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<()> {
        self.called(account, format!("stop {function} {id}"), function)?;
        let stopped = AsyncTask { status: TaskStatus::Stopped, ..self.find(function, id)? };
        self.put(function.as_str(), stopped);
        Ok(())
    }

    async fn configure(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
        config: AsyncConfig,
    ) -> Result<StoredAsyncConfig> {
        self.called(account, format!("configure {function} {qualifier}"), function)?;
        if config.max_async_retry_attempts.is_some_and(|attempts| attempts > 8) {
            return Err(Error::over_limit("maxAsyncRetryAttempts", "attempts", 8, 9));
        }
        let stored = StoredAsyncConfig {
            function_arn: format!("acs:fc:local:{account}:functions/{function}"),
            qualifier: qualifier.to_string(),
            created_time: "2026-01-01T00:00:00Z".into(),
            last_modified_time: "2026-01-02T00:00:00Z".into(),
            config,
        };
        let key = (function.to_string(), qualifier.to_string());
        self.configs.lock().unwrap().insert(key, stored.clone());
        Ok(stored)
    }

    async fn configuration(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<StoredAsyncConfig> {
        self.called(account, format!("configuration {function} {qualifier}"), function)?;
        let key = (function.to_string(), qualifier.to_string());
        let found = self.configs.lock().unwrap().get(&key).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::AsyncConfigNotExists, "nothing is configured"))
    }

    async fn unconfigure(
        &self,
        _: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<()> {
        self.called(account, format!("unconfigure {function} {qualifier}"), function)?;
        self.configs.lock().unwrap().remove(&(function.to_string(), qualifier.to_string()));
        Ok(())
    }

    async fn configurations(
        &self,
        _: Context,
        account: AccountId,
        function: Option<&FunctionName>,
        limit: u32,
        next_token: Option<String>,
    ) -> Result<Page<StoredAsyncConfig>> {
        assert_eq!(account, super::account());
        let call = format!("configurations {function:?} {limit} {next_token:?}");
        self.calls.lock().unwrap().push(call);
        let configs = self.configs.lock().unwrap();
        let is_asked = |(name, _): &(String, String)| {
            function.is_none_or(|function| function.as_str() == name)
        };
        let items: Vec<_> = configs
            .iter()
            .filter(|(key, _)| is_asked(key))
            .map(|(_, config)| config.clone())
            .collect();
        let next_token = (items.len() > limit as usize).then(|| "next".to_owned());
        Ok(Page { items: items.into_iter().take(limit as usize).collect(), next_token })
    }
}
