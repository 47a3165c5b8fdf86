//! The facade: functions of this process, from deployment to removal.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use fc::core::{Invocation, Invoke, Target};
use fc::{Body, Context, FunctionName, Platform, Qualifier, Response, handler_fn};

fn answering(text: &'static str) -> impl fc::Handler {
    handler_fn(move |_, _| async move { Ok(Response::new(Body::from(text))) })
}

async fn ask(platform: &Platform, qualifier: Qualifier) -> fc::Result<String> {
    let name = FunctionName::new("f").unwrap();
    let mut invocation = Invocation::event(platform.account(), name.clone(), "");
    invocation.target = Target::Named { account: platform.account(), function: name, qualifier };
    let cx = Context::new(fc::core::RequestId::NIL);
    let reply = platform.scheduler().invoke(cx, invocation).await?;
    let body = reply.response.into_body().read(100).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// INV-10, MGT-1: a new handler is a new version; a published one keeps its own.
#[tokio::test]
async fn inv_10_a_published_version_keeps_its_handler() {
    let platform = Platform::builder().build().unwrap();
    platform.handle("f", answering("one")).unwrap();
    assert_eq!(ask(&platform, Qualifier::default()).await.unwrap(), "one");
    let account = platform.account();
    let published = platform.functions().publish_version(&account, "f", "first", None).unwrap();
    let first = Qualifier::Version(published.version.id());
    platform.handle("f", answering("two")).unwrap();
    assert_eq!(ask(&platform, Qualifier::default()).await.unwrap(), "two");
    assert_eq!(ask(&platform, first).await.unwrap(), "one");
    platform.remove("f").unwrap();
    assert_eq!(ask(&platform, Qualifier::default()).await.unwrap_err().code(), "FunctionNotFound");
    platform.shutdown(Duration::from_secs(5)).await;
}

/// A handler is freed with the last version that has it; the catalog's lock-free tables free what
/// was removed in batches, so a few are left at any time.
#[tokio::test]
async fn removed_functions_free_their_handlers() {
    const FUNCTIONS: usize = 2_000;
    let held = Arc::new(());
    let platform = Platform::builder().build().unwrap();
    for _ in 0..FUNCTIONS {
        let inside = held.clone();
        let handler = handler_fn(move |_, _| {
            let _inside = inside.clone();
            async { Ok(Response::new(Body::EMPTY)) }
        });
        platform.handle("f", handler).unwrap();
        drop(platform.invoke("f", "").await.unwrap());
        platform.remove("f").unwrap();
    }
    let kept = Arc::strong_count(&held);
    assert!(kept < FUNCTIONS / 4, "{kept} handlers are kept");
    platform.shutdown(Duration::from_secs(5)).await;
}

/// A deployment that is refused changes nothing.
#[tokio::test]
async fn a_refused_deployment_changes_nothing() {
    let platform = Platform::builder().build().unwrap();
    platform.handle("f", answering("one")).unwrap();
    let bad = fc::FunctionSpec {
        function_name: "f".into(),
        runtime: "in-process".into(),
        timeout: 0,
        ..Default::default()
    };
    let code = fc::runtime::in_process::InProcessRuntime::code(answering("two"));
    assert!(platform.deploy(&bad, code).unwrap_err().message().starts_with("timeout"));
    assert_eq!(ask(&platform, Qualifier::default()).await.unwrap(), "one");
    platform.shutdown(Duration::from_secs(5)).await;
}

/// RUN-1: of two runtimes of one kind nobody could say which is meant.
#[tokio::test]
async fn run_1_two_runtimes_of_one_kind_are_refused() {
    let second = Arc::new(fc::runtime::in_process::InProcessRuntime::new());
    let refused = Platform::builder().runtime(second).build().unwrap_err();
    assert!(refused.message().starts_with("runtime"), "{refused}");
}
