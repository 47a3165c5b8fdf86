//! A platform that queues invocations.

use std::sync::Arc;

use fc_core::{
    Asynchronous, Body, Clock, Context, Error, ErrorKind, FunctionName, Invocation, Invoke, Queue,
    Result, Store, header,
};
use fc_queue::destination::Registry;
use fc_queue::driver::MemoryQueue;
use fc_queue::{Engine, EngineConfig, EnginePorts, TaskSink};
use fc_store::MemoryStore;

use crate::Platform;

/// What asynchronous invocation is made of.
#[derive(Clone, Debug)]
pub struct AsyncParts {
    /// Where tasks wait.
    pub queue: Arc<dyn Queue>,
    /// Where records of tasks and functions' settings are kept.
    pub store: Arc<dyn Store>,
    /// The engine's settings; its limits become the platform's.
    pub config: EngineConfig,
    /// Where results can go beside functions and queues.
    pub destinations: Arc<Registry>,
    /// Who is told of what becomes of tasks.
    pub sink: Option<Arc<dyn TaskSink>>,
}

impl AsyncParts {
    /// Parts with the defaults of [`EngineConfig`], over these drivers.
    pub fn new(queue: Arc<dyn Queue>, store: Arc<dyn Store>) -> Self {
        Self {
            queue,
            store,
            config: EngineConfig::default(),
            destinations: Arc::default(),
            sink: None,
        }
    }

    /// Parts that keep all in this process's memory: gone with it.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(MemoryQueue::new(clock)), Arc::new(MemoryStore::new()))
    }
}

impl Platform {
    /// The same platform, which now queues invocations that ask for it, and runs what is queued, what
    /// an earlier process left too: deploy the functions first, because a task whose function does not
    /// exist is over.
    ///
    /// ```
    /// use fc::{AsyncParts, Body, Platform, Response, handler_fn};
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
    /// let platform = Platform::builder().build()?;
    /// let (sender, mut done) = tokio::sync::mpsc::channel(1);
    /// platform.handle("mail", handler_fn(move |_cx, request| {
    ///     let sender = sender.clone();
    ///     async move {
    ///         let _ = sender.send(request.into_body().read(1024).await?).await;
    ///         Ok(Response::new(Body::EMPTY))
    ///     }
    /// }))?;
    /// let parts = AsyncParts::in_memory(platform.clock().clone());
    /// let platform = platform.asynchronous(parts).await?;
    /// platform.enqueue("mail", "hello").await?;
    /// assert_eq!(done.recv().await.unwrap(), "hello");
    /// platform.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<(), fc::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Engine::start`]; `InvalidArgument` for a platform that queues already.
    pub async fn asynchronous(mut self, parts: AsyncParts) -> Result<Self> {
        if self.engine.is_some() {
            return Err(Error::invalid("asynchronous", "the platform queues invocations already"));
        }
        let AsyncParts { queue, store, config, destinations, sink } = parts;
        let config = EngineConfig { limits: self.limits().clone(), ..config };
        let ports = EnginePorts {
            queue,
            store,
            catalog: self.functions().clone(),
            invoke: Arc::new(self.scheduler().clone()),
            clock: self.clock().clone(),
            destinations,
            sink,
        };
        let engine = Engine::start(config, ports).await?;
        self.engine = Some(engine);
        Ok(self)
    }

    /// Queues an event for LATEST of function `name`; gives the task's id once it is as durable as the
    /// queue declares.
    ///
    /// # Errors
    ///
    /// As [`Engine`]'s [`Invoke::invoke`]; `Unsupported` for a platform that does not queue.
    pub async fn enqueue(&self, name: &str, event: impl Into<Body> + Send) -> Result<String> {
        self.enqueue_with(name, event, Asynchronous::default()).await
    }

    /// [`Platform::enqueue`] with a name or a delay.
    ///
    /// # Errors
    ///
    /// As [`Platform::enqueue`].
    pub async fn enqueue_with(
        &self,
        name: &str,
        event: impl Into<Body> + Send,
        options: Asynchronous,
    ) -> Result<String> {
        let engine = self.engine.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "this platform does not queue invocations")
        })?;
        let mut invocation = Invocation::event(self.account(), FunctionName::new(name)?, event);
        invocation.asynchronous = Some(Box::new(options));
        let cx = Context::new(self.request_ids.next(self.clock().wall()));
        let reply = engine.invoke(cx, invocation).await?;
        let id = reply.response.headers().get(&header::ASYNC_TASK_ID);
        let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        id.ok_or_else(|| Error::internal("the queue accepted a task without an id"))
    }

    /// What queues and runs tasks: their states, their settings, dead letters.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }
}
