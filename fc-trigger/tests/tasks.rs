//! The management API's paths of tasks and of how asynchronous invocations are treated (ASY-9,
//! INV-4, I25).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{Answer, KnownTasks, Server, Setup, account, guarded, task};
use fc_core::{Limits, Qualifier, TaskQuery, TaskStatus, Timestamp};
use fc_trigger::GatewayConfig;
use http_body_util::{BodyExt, Full};
use serde_json::json;

const ECHO: &str = "/2023-03-30/functions/echo";
const CONFIGS: &str = "/2023-03-30/async-invoke-configs";

/// Every operation: method, path, and the name that a policy has for it.
const OPERATIONS: [(&str, &str, &str); 7] = [
    ("GET", "/2023-03-30/functions/echo/async-tasks", "ListAsyncTasks"),
    ("GET", "/2023-03-30/functions/echo/async-tasks/a", "GetAsyncTask"),
    ("PUT", "/2023-03-30/functions/echo/async-tasks/a/stop", "StopAsyncTask"),
    ("PUT", "/2023-03-30/functions/echo/async-invoke-config", "PutFunctionAsyncInvokeConfig"),
    ("GET", "/2023-03-30/functions/echo/async-invoke-config", "GetFunctionAsyncInvokeConfig"),
    ("DELETE", "/2023-03-30/functions/echo/async-invoke-config", "DeleteFunctionAsyncInvokeConfig"),
    ("GET", "/2023-03-30/async-invoke-configs", "ListFunctionAsyncInvokeConfigs"),
];

async fn server() -> (Server, Arc<KnownTasks>) {
    let (setup, _, tasks) = Setup::queued();
    (setup.serve().await, tasks)
}

async fn ask(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    server.ask(&format!("{method} {path} HTTP/1.1\r\nHost: x"), body.as_bytes()).await
}

#[track_caller]
fn assert_json(answer: &Answer, value: &serde_json::Value) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("x-fc-request-id").parse::<fc_core::RequestId>().is_ok());
    assert_eq!(&answer.json(), value);
}

#[track_caller]
fn assert_empty(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.body.len()), (status, 0), "{answer:?}");
    assert!(answer.header("x-fc-request-id").parse::<fc_core::RequestId>().is_ok());
    assert!(answer.headers.get("content-type").is_none());
}

/// ASY-9, INV-4: a task is shown with the names of the wire.
#[tokio::test]
async fn asy_9_a_task_can_be_looked_at() {
    let (server, tasks) = server().await;
    let mut known = task("echo", "a", TaskStatus::Running);
    known.instance_id = Some("c-1".into());
    tasks.put("echo", known);
    let shown = json!({
        "taskId": "a",
        "requestId": "1-67a59f35-150c1267-f381ba1c085c",
        "functionArn": "acs:fc:local:1234567890:functions/echo",
        "qualifier": "LATEST",
        "status": "Running",
        "startedTime": 1_700_000_000_000_u64,
        "alreadyRetriedTimes": 1,
        "instanceId": "c-1",
        "taskPayload": "{\"a\":1}",
        "events": [{
            "eventId": 1,
            "status": "Enqueued",
            "timestamp": 1_700_000_000_000_u64,
            "eventDetail": "",
        }],
    });
    assert_json(&ask(&server, "GET", &format!("{ECHO}/async-tasks/a"), "").await, &shown);
    // The qualifier that the task was asked of, and no other.
    for (qualifier, is_its) in [("LATEST", true), ("", true), ("%4cATEST", true), ("prod", false)] {
        let path = format!("{ECHO}/async-tasks/a?qualifier={qualifier}");
        let answer = ask(&server, "GET", &path, "").await;
        if is_its {
            assert_json(&answer, &shown);
        } else {
            answer.assert_refused(404, "StatefulAsyncInvocationNotFound");
        }
    }
    let answer = ask(&server, "GET", &format!("{ECHO}/async-tasks/b"), "").await;
    answer.assert_refused(404, "StatefulAsyncInvocationNotFound");
    for query in ["qualifier=a.b", "qualifier=a&qualifier=a", "limit=1", "qualifier=%"] {
        let answer = ask(&server, "GET", &format!("{ECHO}/async-tasks/a?{query}"), "").await;
        answer.assert_refused(400, "InvalidArgument");
    }
    // A generated id is the request's.
    let id = "1-67a59f35-150c1267-f381ba1c085c";
    tasks.put("echo", task("echo", id, TaskStatus::Failed));
    let answer = ask(&server, "GET", &format!("{ECHO}/async-tasks/{id}"), "").await;
    assert_eq!(answer.json()["status"], "Failed");
    assert!(server.witness.seen().is_empty());
}

/// ASY-9: each filter reaches the port as it was meant, and the page is what the port gave.
#[tokio::test]
async fn asy_9_tasks_are_listed() {
    let (server, tasks) = server().await;
    let path = format!("{ECHO}/async-tasks");
    assert_json(&ask(&server, "GET", &path, "").await, &json!({ "tasks": [] }));
    for (id, status) in
        [("a", TaskStatus::Running), ("b", TaskStatus::Failed), ("c", TaskStatus::Failed)]
    {
        tasks.put("echo", task("echo", id, status));
    }
    tasks.put("quiet", task("quiet", "z", TaskStatus::Running));
    let ids = |answer: &Answer| -> Vec<String> {
        let json = answer.json();
        let tasks = json["tasks"].as_array().unwrap();
        tasks.iter().map(|task| task["taskId"].as_str().unwrap().to_owned()).collect()
    };
    let all = ask(&server, "GET", &path, "").await;
    assert_eq!((all.status, ids(&all)), (200, vec!["a".into(), "b".into(), "c".into()]));
    assert!(all.json().get("nextToken").is_none());
    let failed = ask(&server, "GET", &format!("{path}?status=Failed&limit=1"), "").await;
    assert_eq!(ids(&failed), ["b"]);
    // The token goes through a query and back as it is.
    assert_eq!(failed.json()["nextToken"], "a+/=&%");
    let next = format!("{path}?nextToken=a%2B%2F%3D%26%25&limit=100");
    assert_eq!(ask(&server, "GET", &next, "").await.status, 200);
    let every = "prefix=a%5F&status=Stopped&startedTimeBegin=1&startedTimeEnd=2&sortOrderByTime=asc&\
                 includePayload=true&limit=7&nextToken=t&qualifier=prod";
    assert_eq!(ask(&server, "GET", &format!("{path}?{every}"), "").await.status, 200);
    let queries = tasks.queries.lock().unwrap().clone();
    assert_eq!(queries[0], TaskQuery::default());
    assert_eq!(
        queries[3],
        TaskQuery { next_token: Some("a+/=&%".into()), limit: 100, ..TaskQuery::default() }
    );
    assert_eq!(
        queries[4],
        TaskQuery {
            prefix: "a_".into(),
            qualifier: Some(Qualifier::Alias("prod".into())),
            status: Some(TaskStatus::Stopped),
            started_from: Some(Timestamp::from_unix_millis(1)),
            started_to: Some(Timestamp::from_unix_millis(2)),
            descending: false,
            include_payload: true,
            limit: 7,
            next_token: Some("t".into()),
        }
    );
    let asked = tasks.calls().len();
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=Broken",
        "sortOrderByTime=up",
        "includePayload=yes",
        "startedTimeBegin=now",
        "startedTimeEnd=-1",
        "qualifier=a.b",
        "prefix=%zz",
        "prefix=a+b",
        "limit=1&limit=2",
        "%6cimit=1",
        "Limit=1",
        "functionName=echo",
    ] {
        let answer = ask(&server, "GET", &format!("{path}?{query}"), "").await;
        answer.assert_refused(400, "InvalidArgument");
    }
    assert_eq!(tasks.calls().len(), asked, "what is refused reaches nobody");
    // The port's own refusals come through.
    let answer = ask(&server, "GET", &format!("{path}?nextToken=unknown"), "").await;
    answer.assert_refused(400, "InvalidArgument");
    let message = answer.json()["Message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("nextToken"), "{message}");
}

/// ASY-9: a stop has no body, and says what there was not to stop.
#[tokio::test]
async fn asy_9_a_task_can_be_stopped() {
    let (server, tasks) = server().await;
    tasks.put("echo", task("echo", "a", TaskStatus::Enqueued));
    tasks.put("echo", task("echo", "b", TaskStatus::Running));
    let stop = |id: &str| format!("{ECHO}/async-tasks/{id}/stop");
    assert_empty(&ask(&server, "PUT", &stop("a"), "").await, 200);
    let status = |id: &str| tasks.tasks.lock().unwrap()[&("echo".into(), id.to_owned())].status;
    assert_eq!((status("a"), status("b")), (TaskStatus::Stopped, TaskStatus::Running));
    let other = ask(&server, "PUT", &format!("{}?qualifier=prod", stop("b")), "").await;
    other.assert_refused(404, "StatefulAsyncInvocationNotFound");
    assert_eq!(status("b"), TaskStatus::Running, "it was asked of another qualifier");
    assert_empty(&ask(&server, "PUT", &format!("{}?qualifier=LATEST", stop("b")), "{}").await, 200);
    assert_eq!(status("b"), TaskStatus::Stopped);
    let answer = ask(&server, "PUT", &stop("c"), "").await;
    answer.assert_refused(404, "StatefulAsyncInvocationNotFound");
}

/// ASY-9: tasks outlive their function: `Invalid` is to be seen, and what waits can be stopped.
#[tokio::test]
async fn asy_9_tasks_of_a_deleted_function_are_there_while_they_are_kept() {
    let (server, tasks) = server().await;
    tasks.put("deleted", task("deleted", "a", TaskStatus::Invalid));
    let deleted = "/2023-03-30/functions/deleted/async-tasks";
    let answer = ask(&server, "GET", deleted, "").await;
    assert_eq!((answer.status, &answer.json()["tasks"][0]["status"]), (200, &json!("Invalid")));
    assert_eq!(ask(&server, "GET", &format!("{deleted}/a"), "").await.status, 200);
    assert_empty(&ask(&server, "PUT", &format!("{deleted}/a/stop"), "").await, 200);
    // Of a function that left nothing, it is the function that is not there.
    ask(&server, "GET", &format!("{deleted}/b"), "").await.assert_refused(404, "FunctionNotFound");
    let answer = ask(&server, "PUT", &format!("{deleted}/b/stop"), "").await;
    answer.assert_refused(404, "FunctionNotFound");
    for name in ["nobody", "a.b", "1a", "f$g"] {
        let path = format!("/2023-03-30/functions/{name}/async-tasks");
        for (method, path) in
            [("GET", path.clone()), ("GET", format!("{path}/a")), ("PUT", format!("{path}/a/stop"))]
        {
            ask(&server, method, &path, "").await.assert_refused(404, "FunctionNotFound");
        }
    }
    // A page that ends a list is no missing function.
    let path = "/2023-03-30/functions/nobody/async-tasks?nextToken=t";
    assert_json(&ask(&server, "GET", path, "").await, &json!({ "tasks": [] }));
    // Who may not be invoked is there, with its tasks and its settings.
    tasks.put("disabled", task("disabled", "a", TaskStatus::Running));
    let path = "/2023-03-30/functions/disabled";
    assert_eq!(ask(&server, "GET", &format!("{path}/async-tasks/a"), "").await.status, 200);
    let config = format!("{path}/async-invoke-config");
    assert_eq!(ask(&server, "PUT", &config, "{}").await.status, 200);
}

/// ASY-9: what is set, what is shown, and what is not to be set.
#[tokio::test]
async fn asy_9_settings_are_put_shown_and_removed() {
    let (server, tasks) = server().await;
    let path = format!("{ECHO}/async-invoke-config");
    let body = json!({
        "asyncTask": true,
        "maxAsyncEventAgeInSeconds": 3600,
        "maxAsyncRetryAttempts": 0,
        "destinationConfig": {
            "onSuccess": {"destination": "acs:fc:::functions/next"},
            "onFailure": {"destination": "https://example.com/failed"},
        },
    });
    let stored = |qualifier: &str| {
        let mut stored = body.clone();
        stored["functionArn"] = json!("acs:fc:local:1234567890:functions/echo");
        stored["qualifier"] = json!(qualifier);
        stored["createdTime"] = json!("2026-01-01T00:00:00Z");
        stored["lastModifiedTime"] = json!("2026-01-02T00:00:00Z");
        stored
    };
    let missing = ask(&server, "GET", &path, "").await;
    missing.assert_refused(404, "AsyncConfigNotExists");
    assert_json(&ask(&server, "PUT", &path, &body.to_string()).await, &stored("LATEST"));
    assert_json(&ask(&server, "GET", &path, "").await, &stored("LATEST"));
    let prod = format!("{path}?qualifier=prod");
    ask(&server, "GET", &prod, "").await.assert_refused(404, "AsyncConfigNotExists");
    assert_json(&ask(&server, "PUT", &prod, &body.to_string()).await, &stored("prod"));
    // All of them, of one function, page by page.
    let both = json!({ "configs": [stored("LATEST"), stored("prod")] });
    assert_json(&ask(&server, "GET", CONFIGS, "").await, &both);
    let of_echo = format!("{CONFIGS}?functionName=echo&limit=1&nextToken=%74");
    let page = json!({ "configs": [stored("LATEST")], "nextToken": "next" });
    assert_json(&ask(&server, "GET", &of_echo, "").await, &page);
    assert_eq!(tasks.calls().last().unwrap(), "configurations Some(\"echo\") 1 Some(\"t\")");
    let none = ask(&server, "GET", &format!("{CONFIGS}?functionName=plain"), "").await;
    assert_json(&none, &json!({ "configs": [] }));
    // A qualifier that went away leaves its settings to be read and removed, and takes no new ones.
    for qualifier in ["gone", "7"] {
        let gone = format!("{path}?qualifier={qualifier}");
        let code = if qualifier == "7" { "VersionNotFound" } else { "AliasNotFound" };
        ask(&server, "PUT", &gone, "{}").await.assert_refused(404, code);
        ask(&server, "GET", &gone, "").await.assert_refused(404, "AsyncConfigNotExists");
        assert_empty(&ask(&server, "DELETE", &gone, "").await, 204);
    }
    assert_empty(&ask(&server, "DELETE", &path, "").await, 204);
    ask(&server, "GET", &path, "").await.assert_refused(404, "AsyncConfigNotExists");
    assert_empty(&ask(&server, "DELETE", &path, "").await, 204);
    assert_eq!(tasks.configs.lock().unwrap().len(), 1, "the alias's are its own");
    for method in ["PUT", "GET", "DELETE"] {
        for name in ["nobody", "a.b"] {
            let path = format!("/2023-03-30/functions/{name}/async-invoke-config");
            ask(&server, method, &path, "{}").await.assert_refused(404, "FunctionNotFound");
        }
        let answer = ask(&server, method, &format!("{path}?limit=1"), "{}").await;
        answer.assert_refused(400, "InvalidArgument");
    }
    for name in ["nobody", "a.b", "", "a%2Fb"] {
        let path = format!("{CONFIGS}?functionName={name}");
        ask(&server, "GET", &path, "").await.assert_refused(404, "FunctionNotFound");
    }
    for query in ["limit=0", "limit=101", "qualifier=a", "functionName=a&functionName=a"] {
        let answer = ask(&server, "GET", &format!("{CONFIGS}?{query}"), "").await;
        answer.assert_refused(400, "InvalidArgument");
    }
}

#[tokio::test]
async fn asy_9_settings_that_are_none_are_refused() {
    let (server, tasks) = server().await;
    let path = format!("{ECHO}/async-invoke-config");
    for body in [
        "",
        "{",
        "[]",
        "[true, 3600]",
        r#"{"destinationConfig": [{"destination": "a"}]}"#,
        r#"{"destinationConfig": {"onFailure": ["a"]}}"#,
        "null",
        "7",
        "{} {}",
        "\u{feff}{}",
        r#"{"asyncTask": "true"}"#,
        r#"{"asynctask": true}"#,
        r#"{"asyncTask": true, "asyncTask": true}"#,
        r#"{"maxAsyncRetryAttempts": -1}"#,
        r#"{"maxAsyncRetryAttempts": 1.5}"#,
        r#"{"maxAsyncEventAgeInSeconds": 18446744073709551616}"#,
        r#"{"destinationConfig": {"onsuccess": {}}}"#,
        r#"{"destinationConfig": {"onSuccess": {}}}"#,
        r#"{"destinationConfig": {"onSuccess": {"destination": 1}}}"#,
        r#"{"destinationConfig": {"onSuccess": {"destination": "a", "invented": 1}}}"#,
        r#"{"statefulInvocation": true}"#,
    ] {
        let answer = ask(&server, "PUT", &path, body).await;
        answer.assert_refused(400, "InvalidArgument");
        let message = answer.json()["Message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("request body: ") && message.len() < 200, "{message}");
    }
    let answer = server.ask(&format!("PUT {path} HTTP/1.1\r\nHost: x"), b"{\"a\": \"\xff\"}").await;
    answer.assert_refused(400, "InvalidArgument");
    assert!(tasks.calls().is_empty(), "what is refused reaches nobody");
    // The port's own refusal comes through.
    let answer = ask(&server, "PUT", &path, r#"{"maxAsyncRetryAttempts": 9}"#).await;
    answer.assert_refused(400, "InvalidArgument");
    assert!(answer.json()["Message"].as_str().unwrap().starts_with("maxAsyncRetryAttempts"));
    assert_eq!(tasks.calls().len(), 1);
    // The limit, with a length and without.
    for (size, fits) in [(16 * 1024 - 1, true), (16 * 1024, true), (16 * 1024 + 1, false)] {
        let body = format!("{{}}{}", " ".repeat(size - 2));
        let head = format!("PUT {path} HTTP/1.1\r\nHost: x");
        let declared = server.ask(&head, body.as_bytes()).await;
        let chunked = format!(
            "{head}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        );
        for answer in [declared, server.raw(chunked).await.remove(0)] {
            if fits {
                assert_eq!(answer.status, 200);
            } else {
                answer.assert_refused(400, "EntityTooLarge");
                let message = answer.json()["Message"].as_str().unwrap().to_owned();
                assert_eq!(message, "request body: 16385 bytes is over the limit of 16384");
            }
        }
    }
}

/// I25: each operation is asked by its policy name, before anything is touched or looked up.
#[tokio::test]
async fn i25_operations_are_authorised_first() {
    let (setup, _, tasks) = Setup::queued();
    let server = Setup { authorize: Some(false), ..setup }.serve().await;
    tasks.put("echo", task("echo", "a", TaskStatus::Running));
    for (method, path, action) in OPERATIONS {
        // Nobody learns which functions there are, nor has a body read.
        for path in [path.to_owned(), path.replace("echo", "nobody")] {
            let fields = "X_Fc_Account_Id: forged\r\nX-Fc-Log-Type: None";
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}");
            server.ask(&head, b"no JSON").await.assert_refused(403, "AccessDenied");
            let asked = server.witness.authorized.lock().unwrap().pop().unwrap();
            assert_eq!(asked.0, action);
            assert!(!asked.1.contains_key("x_fc_account_id"));
        }
    }
    assert!(tasks.calls().is_empty());
    let (setup, _, tasks) = Setup::queued();
    let server = Setup { authorize: Some(true), ..setup }.serve().await;
    tasks.put("echo", task("echo", "a", TaskStatus::Running));
    for (method, path, action) in OPERATIONS {
        let status = ask(&server, method, path, "{}").await.status;
        assert_eq!(status, if method == "DELETE" { 204 } else { 200 }, "{action}");
        assert_eq!(server.witness.authorized.lock().unwrap().last().unwrap().0, action);
    }
}

/// What the port fails with is what the caller sees.
#[tokio::test]
async fn asy_9_errors_of_the_port_come_through() {
    let (server, _) = server().await;
    for (method, path, _) in &OPERATIONS[..6] {
        for (function, status, code) in
            [("throttled", 429, "ResourceExhausted"), ("crash", 500, "InternalServerError")]
        {
            let answer = ask(&server, method, &path.replace("echo", function), "{}").await;
            answer.assert_refused(status, code);
        }
    }
}

/// T9, T36: without somebody who knows of tasks the paths are not there, nor is any other spelling.
#[tokio::test]
async fn t9_no_path_but_these() {
    let plain = Server::start().await;
    for (method, path, _) in OPERATIONS {
        for query in ["", "?limit=0", "?qualifier=a.b"] {
            let answer = ask(&plain, method, &format!("{path}{query}"), "").await;
            answer.assert_refused(400, "PathNotSupported");
        }
    }
    let (server, tasks) = server().await;
    for (method, path, _) in OPERATIONS {
        for other in ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
            if !OPERATIONS.iter().any(|(method, known, _)| (*method, *known) == (other, path)) {
                ask(&server, other, path, "").await.assert_refused(400, "PathNotSupported");
            }
        }
        for path in [
            format!("{path}/"),
            format!("/{path}"),
            path.replace("async", "%61sync"),
            path.replace("async", "Async"),
            path.replace("/2023-03-30", "/2021-04-06"),
            path.replace("/2023-03-30", ""),
        ] {
            ask(&server, method, &path, "").await.assert_refused(400, "PathNotSupported");
        }
    }
    for id in ["a.b", "a%20b", "%61", "..", &"a".repeat(129)] {
        let path = format!("{ECHO}/async-tasks/{id}");
        ask(&server, "GET", &path, "").await.assert_refused(400, "PathNotSupported");
    }
    assert!(tasks.calls().is_empty());
    // On a function's host the same path is that function's.
    for (method, path, _) in OPERATIONS {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: echo.localhost");
        assert_eq!(server.ask(&head, b"").await.status, 200);
    }
    assert!(tasks.calls().is_empty());
    assert_eq!(server.witness.seen().len(), OPERATIONS.len());
}

/// The other cloud's words.
#[tokio::test]
async fn asy_9_the_other_dialect() {
    let (setup, _, tasks) = Setup::queued();
    let mut config = GatewayConfig::new(account());
    config.limits = Limits::function_graph();
    let server = Setup { config, ..setup }.serve().await;
    let answer = ask(&server, "GET", &format!("{ECHO}/async-tasks/a"), "").await;
    assert_eq!((answer.status, &answer.json()["error_code"]), (404, &json!("FSS.0404")));
    tasks.put("echo", task("echo", "a", TaskStatus::Running));
    let answer = ask(&server, "GET", &format!("{ECHO}/async-tasks/a"), "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-cff-request-id"), answer.header("x-fc-request-id"));
}

/// The same over HTTP/2.
#[tokio::test]
async fn asy_9_every_operation_over_http2() {
    let (server, tasks) = server().await;
    tasks.put("echo", task("echo", "a", TaskStatus::Running));
    guarded(async {
        let (mut sender, _) = server.http2().await;
        for (method, path, action) in OPERATIONS {
            for (query, is_good) in [("", true), ("?invented=1", false)] {
                let body = if method == "PUT" { "{}" } else { "" };
                let request = http::Request::builder()
                    .method(method)
                    .uri(format!("http://x{path}{query}"))
                    .body(Full::new(Bytes::from_static(body.as_bytes())))
                    .unwrap();
                let response = sender.send_request(request).await.unwrap();
                let status = response.status().as_u16();
                let expected = match (is_good, method) {
                    (false, _) => 400,
                    (true, "DELETE") => 204,
                    (true, _) => 200,
                };
                assert_eq!(status, expected, "{action}");
                let body = response.into_body().collect().await.unwrap().to_bytes();
                let is_empty = is_good && (method == "DELETE" || action == "StopAsyncTask");
                assert_eq!(body.is_empty(), is_empty, "{action}");
            }
        }
    })
    .await;
    assert_eq!(tasks.calls().len(), OPERATIONS.len());
}
