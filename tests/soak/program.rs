//! The function of the soak test, compiled by the test with `rustc`: its path says what it does.
//!
//! `/ok` answers, `/sleep` answers after 5 ms, `/stuck` never answers, `/crash` ends the process,
//! `/stream` answers in pieces, `/child` leaves a child that ignores SIGTERM in a session of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

fn main() {
    let port: u16 = std::env::var("FC_CUSTOM_LISTEN_PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.by_ref().take(length).read_to_end(&mut Vec::new()).ok()?;
        match path.as_str() {
            "/sleep" => std::thread::sleep(Duration::from_millis(5)),
            "/stuck" => std::thread::sleep(Duration::from_secs(3_600)),
            "/crash" => std::process::exit(3),
            "/child" => {
                let script = "trap '' TERM; sleep 3600";
                let _ = Command::new("setsid").args(["sh", "-c", script]).spawn();
            }
            _ => {}
        }
        if path == "/stream" {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            writer.write_all(head.as_bytes()).ok()?;
            for _ in 0..5 {
                writer.write_all(b"5\r\npiece\r\n").ok()?;
                std::thread::sleep(Duration::from_millis(1));
            }
            writer.write_all(b"0\r\n\r\n").ok()?;
        } else {
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").ok()?;
        }
    }
}
