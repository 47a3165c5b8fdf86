//! `cargo run --example server`, as its user meets it: a process, its table, its answers, its end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use http::{Method, StatusCode};
use support::{
    Functions, Server, Signal, eventually, exchange, header, in_time, json, server_binary,
};

/// Says that a request came, and answers when it is let go.
const HOLD: &str = r#"#!/usr/bin/env -S python3 -S -E
import os, time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        open("began", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

ThreadingTCPServer.daemon_threads = True
ThreadingTCPServer(("0.0.0.0", int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Handler).serve_forever()
"#;

/// Answers every connection with bytes that are not HTTP.
const GARBAGE: &str = r#"#!/usr/bin/env -S python3 -S -E
import os, socket

server = socket.create_server(("0.0.0.0", int(os.environ["FC_CUSTOM_LISTEN_PORT"])))
while True:
    connection, _ = server.accept()
    try:
        connection.sendall(b"\x00\xff this is not HTTP\r\n\r\n")
        connection.recv(65536)
    except OSError:
        pass  # Who only asked whether anybody listens has hung up: that must not end the program.
    connection.close()
"#;

fn run(flags: &[&str]) -> Output {
    let mut child = Command::new(server_binary())
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the server refuses to start", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_has_a_row_and_its_command_works() {
    let broken = "#!/usr/bin/env no-such-interpreter\n";
    let functions = Functions::samples(&["echo", "page"])
        .and("unreadable", "memory_size = 512\ntimeout = \"long\"\n", "")
        .and("wrong", "memory_size = 100\n", "")
        .and("uninterpreted", "", broken)
        .and("twin", "function_name = \"page\"\n", "#!/bin/sh\n")
        .and("closed", "[http_trigger]\nauth_type = \"function\"\n", HOLD);
    let server = Server::start(functions);

    let port = server.address.port();
    assert!(server.row("echo").ends_with(&format!("curl http://echo.localhost:{port}/")));
    let unreadable = server.row("unreadable");
    assert!(unreadable.contains("not served: ") && unreadable.contains("function.toml"));
    assert!(unreadable.contains("line 2: timeout: "), "{unreadable}");
    assert!(server.row("wrong").contains("not served: memory_size: "));
    let row = server.row("uninterpreted");
    assert!(row.contains("not served: ") && row.contains("no-such-interpreter"), "{row}");
    assert!(server.table.contains("not served: the name is taken by "));
    assert!(server.row("closed").contains("not served: http_trigger.auth_type: "));

    for function in ["echo", "page"] {
        let (_, command) = server.row(function).split_once("curl ").unwrap();
        let command = format!("curl --silent --show-error --fail {command}");
        let answer = Command::new("sh").args(["-c", &command]).output().unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success() && !answer.stdout.is_empty(), "{command}: {said}");
    }
    for function in ["unreadable", "wrong", "uninterpreted", "closed"] {
        let answer = server.invoke(function, "{}").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(json(&answer)["Code"], "FunctionNotFound");
        header(&answer, "x-fc-request-id");
    }
    let health = server.request(Method::GET, "127.0.0.1", "/healthz", "").await;
    assert_eq!(health.status(), StatusCode::OK);
}

/// INV-1, RUN-2: the API and the trigger reach the same program, cold and then warm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_1_run_2_a_request_reaches_a_program_cold_and_warm() {
    let server = Server::start(Functions::samples(&["echo"]));
    let cold = server.get("echo", "/a/b?c=d").await;
    assert_eq!(cold.status(), StatusCode::OK, "{cold:?}");
    let seen = json(&cold);
    assert_eq!((seen["method"].as_str(), seen["path"].as_str()), (Some("GET"), Some("/a/b")));
    let platform = |name: &str| {
        let headers = seen["headers"].as_array().unwrap();
        let found =
            headers.iter().find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name}"))[1].as_str().unwrap()
    };
    assert_eq!(platform("x-fc-request-id"), header(&cold, "x-fc-request-id"));
    assert_eq!(platform("x-fc-control-path"), "/http-invoke");

    let warm = server.invoke("echo", "an event").await;
    assert_eq!(warm.status(), StatusCode::OK);
    let event = json(&warm);
    assert_eq!(
        (event["path"].as_str(), event["body"].as_str()),
        (Some("/invoke"), Some("an event"))
    );
    assert_eq!(event["pid"], seen["pid"], "the instance is used again");
    assert_eq!(event["instance_id"].as_str(), Some(header(&warm, "x-fc-instance-id")));
    assert_ne!(header(&warm, "x-fc-request-id"), header(&cold, "x-fc-request-id"));
    assert_eq!(server.functions.processes().len(), 1);
}

/// Each way to break has its documented answer, and the server goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_2_a_broken_program_has_its_documented_answer() {
    let exits = "#!/bin/sh\necho no such database >&2\nexit 3\n";
    let functions = Functions::samples(&["echo", "crash"])
        .and("exits", "", exits)
        .and("garbage", "", GARBAGE)
        .and("late", "timeout = 1\n", HOLD);
    let server = Server::start(functions);

    let refused = server.get("exits", "/").await;
    assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
    let said = json(&refused).to_string();
    assert!(said.contains("FunctionNotStarted") && said.contains("no such database"), "{said}");
    header(&refused, "x-fc-request-id");

    // The platform's errors have a code, a function's failures a type (`alibaba-fc.md` 1.1, 2.5).
    for (function, path, field, said) in [
        ("garbage", "/", "Code", "BadResponse"),
        ("crash", "/?how=garbage", "Code", "BadResponse"),
        ("crash", "/?how=exit&code=3", "errorType", "FunctionCrashed"),
        ("crash", "/?how=signal&signal=9", "errorType", "FunctionCrashed"),
        ("late", "/", "errorType", "FunctionTimeout"),
    ] {
        let answer = server.get(function, path).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{function}{path}: {answer:?}");
        assert_eq!(json(&answer)[field], said, "{function}{path}: {answer:?}");
        header(&answer, "x-fc-request-id");
        let after = server.get("echo", "/").await;
        assert_eq!(after.status(), StatusCode::OK, "after {function}{path}");
    }
    let again = server.get("crash", "/").await;
    assert_eq!(again.status(), StatusCode::OK, "a new instance serves: {again:?}");
    let unknown = server.get("nobody", "/").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    header(&unknown, "x-fc-request-id");
}

/// A program that never listens holds up its own requests alone, and a second signal ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_never_listens_is_ended_by_a_second_signal() {
    let functions = Functions::samples(&["echo"]).and("deaf", "", "#!/bin/sh\nexec sleep 1000\n");
    let mut server = Server::start(functions);
    let address = server.address;
    let waiting = tokio::spawn(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: deaf.localhost\r\n\r\n";
        stream.writable().await.unwrap();
        assert_eq!(stream.try_write(request).unwrap(), request.len());
        stream.readable().await
    });
    eventually("the deaf program starts", || !server.functions.processes().is_empty());
    assert_eq!(server.get("echo", "/").await.status(), StatusCode::OK);
    assert!(!waiting.is_finished());

    server.signal(Signal::TERM);
    eventually("the listener is closed", || std::net::TcpStream::connect(address).is_err());
    assert!(!waiting.is_finished(), "a drain waits");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(1));
    assert!(server.functions.processes().is_empty());
}

/// I28: what runs when SIGTERM comes is answered, and no process is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i28_sigterm_lets_a_running_request_finish_and_leaves_no_process() {
    let functions = Functions::samples(&["echo", "notes"]).and("hold", "timeout = 60\n", HOLD);
    let mut server = Server::start(functions);
    assert_eq!(server.get("echo", "/").await.status(), StatusCode::OK);
    assert_eq!(server.get("notes", "/").await.status(), StatusCode::OK);
    let address = server.address;
    let running = tokio::spawn(async move {
        exchange(address, Method::GET, "hold.localhost", "/", "".into()).await
    });
    let hold = server.functions.path().join("hold");
    eventually("the request reaches the function", || hold.join("began").exists());
    server.signal(Signal::TERM);
    eventually("the listener is closed", || std::net::TcpStream::connect(address).is_err());
    fs::write(hold.join("go"), "").unwrap();
    let answer = in_time(running).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"done"[..]));
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.functions.processes().is_empty());
}

#[test]
fn a_port_in_use_is_said_and_is_a_failure() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("error: cannot listen on {address}: ")), "{said}");
}

#[test]
fn a_directory_of_functions_that_is_not_there_is_a_failure() {
    let output = run(&["--listen", "127.0.0.1:0", "--functions", "/no/such/directory"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/directory"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_belongs_to_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let mut server = Server::start_with(Functions::none(), &["--data-dir", &data]);
    let second = run(&["--listen", "127.0.0.1:0", "--data-dir", &data]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("in use by process {}", server.id())), "{said}");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    drop(server);
    Server::start_with(Functions::none(), &["--data-dir", &data]);
}

#[test]
fn help_names_every_flag() {
    let output = run(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let flags = ["--listen", "--functions", "--data-dir", "--queue", "--store", "--log", "--help"];
    for flag in flags.into_iter().chain(["127.0.0.1:9000", "embedded"]) {
        assert!(text.contains(flag), "{flag} in\n{text}");
    }
}
