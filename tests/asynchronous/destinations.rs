//! Where results go.

use std::time::Duration;

use fc::core::port::queue::Lane;
use fc::core::{ErrorKind, FailureType, Queue, Tasks};
use serde_json::{Value, json};

use crate::support::{Act, HOUR, World, account, name};

fn to(success: Option<&str>, failure: Option<&str>) -> Value {
    let function = |name: &str| {
        let arn =
            if name.contains(':') { name.into() } else { format!("acs:fc:::functions/{name}") };
        json!({ "destination": arn })
    };
    let mut config = json!({});
    success.into_iter().for_each(|name| config["onSuccess"] = function(name));
    failure.into_iter().for_each(|name| config["onFailure"] = function(name));
    json!({ "maxAsyncRetryAttempts": 1, "destinationConfig": config })
}

async fn records(world: &World, of: &str) -> Vec<Value> {
    let seen = world.functions.seen.lock();
    let of = seen.iter().filter(|seen| seen.function == of);
    of.map(|seen| serde_json::from_str(&seen.payload).unwrap()).collect()
}

/// ASY-5, I8: a success goes to the one, a failure to the other, once, with the documented record.
#[tokio::test]
async fn asy_5_each_result_goes_to_its_destination() {
    let world = World::new().await;
    world.configure("f", to(Some("ok"), Some("failed"))).await.unwrap();
    let id = world.submit("f", r#"{"a":1}"#).await.unwrap();
    world.pass(HOUR).await;
    let told = records(&world, "ok").await;
    assert_eq!(told.len(), 1);
    let mut record = told[0].clone();
    assert!(record["timestamp"].take().as_u64().unwrap() >= 1_700_000_000_000);
    let expected = json!({
        "timestamp": null,
        "requestContext": {
            "requestId": id,
            "functionArn": "acs:fc::1234:functions/f/LATEST",
            "condition": "",
            "approximateInvokeCount": 1,
        },
        "requestPayload": "{\"a\":1}",
        "responseContext": { "statusCode": 200, "functionError": "" },
        "responsePayload": "{\"a\":1}",
    });
    assert_eq!(record, expected);

    world.act("f", [Act::Fail(FailureType::Unhandled)]);
    world.submit("f", "in").await.unwrap();
    world.pass(HOUR).await;
    let told = records(&world, "failed").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["requestContext"]["condition"], "UnhandledInvocationError");
    assert_eq!(told[0]["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(told[0]["responseContext"]["functionError"], "UnhandledInvocationError");
    let said = told[0]["responsePayload"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(said).unwrap()["errorMessage"], "as told");
    assert_eq!(records(&world, "ok").await.len(), 1);
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap(), Default::default());
}

/// ASY-4: what is expired, or stopped, goes to the failure destination.
#[tokio::test]
async fn asy_4_what_is_expired_or_stopped_goes_to_the_failure_destination() {
    let world = World::new().await;
    world.act("f", [Act::Error(ErrorKind::ResourceThrottled)]);
    let mut config = to(Some("ok"), Some("failed"));
    config["maxAsyncEventAgeInSeconds"] = json!(10);
    world.configure("f", config).await.unwrap();
    world.submit("f", "in").await.unwrap();
    world.pass(HOUR).await;
    let told = records(&world, "failed").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["requestContext"]["condition"], "Expired");
    world.act("f", [Act::Never]);
    world.submit_named("f", "in", "t").await.unwrap();
    world.settle().await;
    world.engine.stop(world.cx(), account(), &name("f"), "t").await.unwrap();
    world.pass(HOUR).await;
    let told = records(&world, "failed").await;
    assert_eq!(told[1]["requestContext"]["condition"], "Stopped");
    assert_eq!(told.len(), 2);
}

/// ASY-5: a result may go to a lane that the integrator reads.
#[tokio::test]
async fn asy_5_a_result_goes_to_a_lane() {
    let world = World::new().await;
    world.configure("f", to(Some("queue:1234/q:results"), None)).await.unwrap();
    world.configure("g", to(Some("acs:mns:::/queues/results/messages"), None)).await.unwrap();
    world.submit("f", "1").await.unwrap();
    world.submit("g", "2").await.unwrap();
    world.pass(HOUR).await;
    for (lane, payload) in [("1234/q:results", "1"), ("1234/mns:results", "2")] {
        let lane = Lane::new(lane).unwrap();
        let leased = world.queue.lease(world.cx(), &lane, 9, Duration::from_secs(9)).await.unwrap();
        assert_eq!(leased.len(), 1);
        let record: Value = serde_json::from_slice(&leased[0].payload).unwrap();
        assert_eq!(record["responsePayload"], payload);
    }
}

/// ASY-8: a cycle is refused when it is configured.
#[tokio::test]
async fn asy_8_a_cycle_is_refused() {
    let world = World::new().await;
    world.configure("f", to(Some("g"), None)).await.unwrap();
    world.configure("g", to(None, Some("h"))).await.unwrap();
    let refused = world.configure("h", to(Some("f"), None)).await.unwrap_err();
    assert_eq!(refused.code(), "InvalidArgument");
    assert!(refused.to_string().contains("h -> f -> g -> h"), "{refused}");
    assert!(world.configure("h", to(Some("h"), None)).await.is_err());
    world.configure("g", to(None, Some(""))).await.unwrap_err();
    let nothing = json!({ "destinationConfig": { "onFailure": { "destination": "" } } });
    world.configure("g", nothing).await.unwrap();
    world.configure("h", to(Some("f"), None)).await.unwrap();
}

/// T37: nobody's, another's and unreachable destinations are refused.
#[tokio::test]
async fn asy_5_a_destination_that_cannot_be_reached_is_refused() {
    let world = World::new().await;
    for bad in [
        "acs:fc:::functions/nobody",
        "acs:fc::999:functions/g",
        "callback:nobody",
        "https://example.com/",
        "acs:mns:::/topics/t/messages",
        "queue:1234",
        "queue:1234/g",
        "queue:999/q:x",
        "ftp://x",
        "x",
    ] {
        let refused = world.configure("f", to(Some(bad), None)).await;
        let code = refused.as_ref().map_err(|error| error.code());
        assert!(matches!(code, Err("InvalidArgument" | "AccessDenied")), "{bad}: {refused:?}");
    }
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(world.seen(), ["f 0 x"], "and nothing is configured");
}

/// ASY-8, I12: a chain ends behind 16 functions, whose result is a dead letter.
#[tokio::test]
async fn i12_a_chain_that_is_too_long_is_cut() {
    let world = World::with(|config| config.depth_max = 2).await;
    world.configure("f", to(Some("g"), None)).await.unwrap();
    world.configure("g", to(Some("h"), None)).await.unwrap();
    world.configure("h", to(Some("ok"), None)).await.unwrap();
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    let functions: Vec<_> =
        world.functions.seen.lock().iter().map(|seen| seen.function.clone()).collect();
    assert_eq!(functions, ["f", "g", "h"]);
    let letters = world.engine.dead_letters(&world.lane(), None, 9).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.as_deref().unwrap().contains("depth"), "{letters:?}");
}

/// ASY-5: a record over the destination's limit is a dead letter, and the task says so.
#[tokio::test]
async fn asy_5_a_record_that_is_too_large_is_a_dead_letter() {
    let world = World::new().await;
    world.configure("f", to(Some("g"), None)).await.unwrap();
    world.act("f", [Act::Answer(128 * 1024)]);
    world.submit_named("f", "", "t").await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(world.seen().len(), 1);
    let task = world.task("f", "t").await.unwrap();
    assert_eq!(task.destination_status.as_deref(), Some("Failed"));
    let letters = world.engine.dead_letters(&world.lane(), None, 9).await.unwrap();
    let reason = letters[0].reason.as_deref().unwrap();
    assert!(reason.contains("over the limit of 131072"), "{reason}");
}

/// A function of a chain whose invocations are tasks is recorded.
#[tokio::test]
async fn asy_9_a_function_in_a_chain_is_a_task() {
    let world = World::new().await;
    world.configure("f", to(Some("g"), None)).await.unwrap();
    world.configure("g", json!({ "asyncTask": true })).await.unwrap();
    let id = world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    let task = world.task("g", &format!("{id}-1")).await.unwrap();
    assert_eq!(task.status, fc::core::TaskStatus::Succeeded);
    assert_eq!(task.events.len(), 4);
}
