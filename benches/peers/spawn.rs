//! The limit of a cold start: spawn the program, connect until it listens, ask once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::function::{FUNCTION, PORT, Program};
use super::{GET_HELLO, HELLO, role};

/// Shortest pause between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_micros(100);

/// A pause is this part of the time gone so far, as in the platform: neither side finds the program
/// sooner than the other because it looks more often.
const PART: u32 = 16;

/// How long a program may take to its first answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// From the spawn of `program` to its first answer.
pub(crate) fn first_answer(program: &Program) -> Duration {
    let port = free_port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut command = Command::new(program.bootstrap());
    command.current_dir(program.directory());
    command.env(role::ROLE, FUNCTION).env(PORT, port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());

    let start = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) if start.elapsed() < ANSWER_WITHIN => {
                std::thread::sleep((start.elapsed() / PART).max(PAUSE_MIN));
            }
            Err(error) => panic!("{}: {error}", program.bootstrap().display()),
        }
    };
    stream.write_all(GET_HELLO).expect("send");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.ends_with(HELLO.as_bytes()) {
        let read = stream.read(&mut part).expect("receive");
        assert!(read > 0, "the program answered {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
    let took = start.elapsed();

    child.kill().expect("kill");
    child.wait().expect("wait");
    took
}

/// A port of the loopback that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback");
    listener.local_addr().expect("the listener's address").port()
}
