//! Waiting until a program listens.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Error, ErrorKind, Exit, Instant, Result};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use super::client::Connection;
use super::descriptor;
use super::failed;
use super::running::Running;

/// The pause between two attempts is this part of the time gone so far: what the search adds to a
/// start is 6 % at most, whether that takes a millisecond or a minute.
const PART: u32 = 16;

/// Shortest pause.
const PAUSE_MIN: Duration = Duration::from_micros(100);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Above this the clock's own timer, which is as fine as milliseconds, is fine enough.
const FINE: Duration = Duration::from_millis(5);

/// What an error shows of a program's output, bytes.
const OUTPUT_BYTES_MAX: usize = 1024;

impl Running {
    /// The first connection to the program.
    pub(super) async fn first_connection(
        self: &Arc<Self>,
        address: std::net::SocketAddr,
        began: Instant,
        within: Duration,
    ) -> Result<Box<Connection>> {
        let timer = FineTimer::new()?;
        let search = async {
            loop {
                match TcpStream::connect(address).await {
                    // Within the ephemeral range a socket can meet itself.
                    Ok(stream) if stream.local_addr().ok() != stream.peer_addr().ok() => {
                        return Connection::new(stream).map_err(failed("connection"));
                    }
                    Ok(_) | Err(_) => {}
                }
                let pause = ((self.clock.now() - began) / PART).clamp(PAUSE_MIN, PAUSE_MAX);
                if pause < FINE {
                    timer.wait(pause).await?;
                } else {
                    self.clock.sleep_until(self.clock.now() + pause).await;
                }
            }
        };
        let outcome = tokio::select! {
            biased;
            exit = self.exited() => return Err(self.not_started(began, Some(exit), within)),
            outcome = self.clock.with_deadline(began + within, search) => outcome,
        };
        match outcome {
            // Whoever answers on the port of a program that has ended is a stranger.
            Ok(connection) => match self.leader.outcome() {
                None => connection,
                Some(_) => {
                    let exit = self.exited().await;
                    Err(self.not_started(began, Some(exit), within))
                }
            },
            Err(_) => Err(self.not_started(began, None, within)),
        }
    }

    /// `alibaba-fc.md` 5.4.
    fn not_started(&self, began: Instant, exit: Option<Exit>, within: Duration) -> Error {
        let took = (self.clock.now() - began).as_nanos();
        let why = match exit {
            Some(exit) => format!("the program ended with {exit}"),
            None => format!("connection refused for {} ms", within.as_millis()),
        };
        let output = self.capture.last(OUTPUT_BYTES_MAX);
        let message = format!(
            "The CA's http server cannot be started:ContainerStartDuration:{took}. \
             Ping CA failed due to: {why} Logs : {}",
            String::from_utf8_lossy(&output).trim_end()
        );
        Error::new(ErrorKind::FunctionNotStarted, message)
    }
}

/// A timer of the kernel's. Runtimes' timers count milliseconds, and a small program is up in one.
struct FineTimer(AsyncFd<std::os::fd::OwnedFd>);

impl FineTimer {
    fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(failed("timerfd_create"))?;
        descriptor::readable(timer).map(Self)
    }

    async fn wait(&self, pause: Duration) -> Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) },
        };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)
            .map_err(failed("timerfd_settime"))?;
        let mut count = [0; 8];
        loop {
            let mut ready = self.0.readable().await.map_err(failed("timerfd"))?;
            match rustix::io::read(&self.0, &mut count) {
                Ok(_) => return Ok(()),
                Err(_) => ready.clear_ready(),
            }
        }
    }
}
