//! A task that fails twice, succeeds, and tells another function: `cargo run --example async_retry`.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fc::core::{
    AsyncConfig, Asynchronous, Destination, DestinationConfig, RequestId, Store, TaskStatus, Tasks,
};
use fc::queue::core::retry::{RetryPolicy, Schedule};
use fc::queue::driver::MemoryQueue;
use fc::store::MemoryStore;
use fc::{
    AsyncParts, Body, Context, Error, FunctionName, Platform, Qualifier, Response, handler_fn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> fc::Result<()> {
    let platform = Platform::builder().build()?;

    // Fails twice, and says in which attempt it is.
    let calls = Arc::new(AtomicU32::new(0));
    platform.handle(
        "flaky",
        handler_fn(move |cx, _request| {
            let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                println!("flaky: attempt {}", cx.attempt + 1);
                if call <= 2 {
                    return Err("not today".into());
                }
                Ok(Response::new(Body::from("done")))
            }
        }),
    )?;
    // Gets the record of each success.
    let (sender, mut told) = tokio::sync::mpsc::channel(1);
    platform.handle(
        "audit",
        handler_fn(move |_cx, request| {
            let sender = sender.clone();
            async move {
                let record = request.into_body().read(128 * 1024).await?;
                println!("audit: {}", String::from_utf8_lossy(&record));
                let _ = sender.send(()).await;
                Ok(Response::new(Body::EMPTY))
            }
        }),
    )?;

    let queue = Arc::new(MemoryQueue::new(platform.clock().clone()));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut parts = AsyncParts::new(queue, store);
    // In an example nobody wants to wait for the default pauses.
    let quick = Schedule::doubling(Duration::from_millis(100), Duration::from_secs(1));
    parts.config.retry = RetryPolicy { function_error: quick, ..RetryPolicy::function_compute() };
    let platform = platform.asynchronous(parts).await?;

    let engine = platform.engine().ok_or_else(|| Error::internal("the platform queues"))?;
    let (cx, account) = (Context::new(RequestId::NIL), platform.account());
    let flaky = FunctionName::new("flaky")?;
    let audit = Destination { destination: "acs:fc:::functions/audit".into() };
    let to = DestinationConfig { on_success: Some(audit), on_failure: None };
    let config = AsyncConfig { destination_config: Some(to), ..AsyncConfig::default() };
    engine.configure(cx, account, &flaky, &Qualifier::default(), config).await?;

    let named = Asynchronous { task_id: Some("order-1".into()), delay: None };
    let id = platform.enqueue_with("flaky", "{}", named).await?;
    println!("accepted: {id}");
    told.recv().await;

    let task = engine.task(cx, account, &flaky, &id).await?;
    for event in &task.events {
        println!("{}: {:<10} {}", task.task_id, event.status.as_str(), event.event_detail);
    }
    assert_eq!(task.status, TaskStatus::Succeeded);
    platform.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
