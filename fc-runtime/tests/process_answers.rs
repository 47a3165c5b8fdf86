//! RUN-2, T4: what a program may answer, byte for byte, and what becomes of its connection.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod process_support;

use std::sync::Arc;

use fc_core::{Blame, ErrorKind, Instance, Reply, Result};
use process_support::*;
use serde_json::Value;

/// The reply to a program that answers `bytes`.
async fn raw(
    instance: &Arc<dyn Instance>,
    function: &Function,
    path: &str,
    bytes: &'static str,
) -> Result<Reply> {
    instance.invoke(cx(), http(&function.version(), "POST", path, bytes)).await
}

/// Connections that the program has accepted.
async fn accepted(instance: &Arc<dyn Instance>, function: &Function) -> u64 {
    let seen = call(instance, function, "/count").await.unwrap();
    serde_json::from_str::<Value>(&seen).unwrap()["accepted"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_answers_of_every_form_are_whole_and_their_connection_is_kept() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let before = accepted(&instance, &function).await;
        for (bytes, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
            ("HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n", 299, ""),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
                 HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
                201,
                "x",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2;extension=\"x\"\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n",
                200,
                "hello",
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, ""),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
        ] {
            let reply = raw(&instance, &function, "/raw", bytes).await.unwrap();
            assert_eq!(reply.response.status(), status, "{bytes:?}");
            assert_eq!(text(reply).await.unwrap(), body, "{bytes:?}");
        }
        assert_eq!(accepted(&instance, &function).await, before, "one connection served all");

        for (path, bytes) in [
            ("/raw?close", "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
            (
                "/raw",
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nuntil the end",
            ),
            // More than was asked for is nobody's answer.
            (
                "/raw",
                "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nuntil the endHTTP/1.1 200 OK\r\n\r\n",
            ),
        ] {
            let before = accepted(&instance, &function).await;
            let reply = raw(&instance, &function, path, bytes).await.unwrap();
            assert_eq!(text(reply).await.unwrap(), "until the end");
            assert_eq!(accepted(&instance, &function).await, before + 1, "{bytes:?}");
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_answers_that_two_readers_could_end_differently_are_refused() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        for bytes in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nx: 1\r\n folded: 2\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "220 mail.example ESMTP\r\n",
        ] {
            let error = raw(&instance, &function, "/raw", bytes).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{bytes:?}: {error:?}");
            assert_eq!(error.blame(), Blame::Function);
            assert!(error.message().contains("no valid HTTP"), "{bytes:?}: {error:?}");
        }
        // The head is in order, and the body breaks off or goes astray.
        for bytes in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\n\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        ] {
            let reply = raw(&instance, &function, "/raw?close", bytes).await.unwrap();
            let error = text(reply).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{bytes:?}: {error:?}");
        }
        // None of them spoils the next.
        call(&instance, &function, "/after").await.unwrap();
        instance.stop(cx()).await.unwrap();
    })
    .await;
}
