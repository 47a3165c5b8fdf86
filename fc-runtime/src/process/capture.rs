//! Reading what a program prints: both pipes, into the log.

use std::io::ErrorKind as Io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use fc_core::{FunctionName, InstanceId, RequestId, Result};
use parking_lot::Mutex;
use tokio::net::unix::pipe::Receiver;

use super::failed;
use super::lines::Lines;
use super::log::{Call, Ended, Log};

/// Read at once, bytes.
const READ_BYTES: usize = 8 * 1024;

/// What a pipe holds by default, in reads: more than that was written meanwhile, and can wait.
const READS_MAX: usize = 8;

/// Where a program's lines go besides the log: `tracing` events of this target.
const TARGET: &str = "fc::function_log";

/// An instance's output.
#[derive(Debug)]
pub(super) struct Capture {
    instance: InstanceId,
    function: FunctionName,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    streams: [Stream; 2],
    log: Log,
}

#[derive(Debug)]
struct Stream {
    /// Until the program closes it, or the instance is over.
    pipe: Option<Arc<Receiver>>,
    lines: Lines,
}

impl Capture {
    pub(super) fn new(
        instance: InstanceId,
        function: FunctionName,
        pipes: [OwnedFd; 2],
        bytes_max: usize,
    ) -> Result<Self> {
        let open = |pipe: OwnedFd| -> Result<Stream> {
            let pipe = Receiver::from_owned_fd(pipe).map_err(failed("pipe"))?;
            Ok(Stream { pipe: Some(Arc::new(pipe)), lines: Lines::default() })
        };
        let [out, err] = pipes;
        Ok(Self {
            instance,
            function,
            state: Mutex::new(State {
                streams: [open(out)?, open(err)?],
                log: Log::new(bytes_max),
            }),
        })
    }

    /// Reads one of the pipes (0: stdout, 1: stderr) until the program closes it.
    pub(super) async fn follow(self: Arc<Self>, which: usize) {
        loop {
            let Some(pipe) = self.state.lock().streams[which].pipe.clone() else {
                return;
            };
            if pipe.readable().await.is_err() {
                return;
            }
            self.read_ready(which, &pipe);
            // A program that floods its log leaves others their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what the reactor says is there.
    fn read_ready(&self, which: usize, pipe: &Receiver) {
        let mut state = self.state.lock();
        let mut buffer = [0; READ_BYTES];
        for _ in 0..READS_MAX {
            match pipe.try_read(&mut buffer) {
                Ok(0) => return self.close_stream(&mut state, which),
                Ok(count) => self.take_in(&mut state, which, &buffer[..count]),
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) if error.kind() == Io::WouldBlock => return,
                Err(_) => return self.close_stream(&mut state, which),
            }
        }
    }

    /// Reads what lies in the pipes now, whether or not the reactor has noticed it: what a program
    /// printed before it answered is in the log when this returns.
    fn catch_up(&self, state: &mut State) {
        let mut buffer = [0; READ_BYTES];
        for which in 0..state.streams.len() {
            for _ in 0..READS_MAX {
                let Some(pipe) = state.streams[which].pipe.clone() else {
                    break;
                };
                match rustix::io::read(&*pipe, &mut buffer[..]) {
                    Ok(0) => self.close_stream(state, which),
                    Ok(count) => self.take_in(state, which, &buffer[..count]),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
            }
        }
    }

    fn take_in(&self, state: &mut State, which: usize, bytes: &[u8]) {
        let State { streams, log } = state;
        let dropped = streams[which].lines.feed(bytes, |line| {
            self.tell(which, line);
            log.line(line);
        });
        log.lose(dropped);
    }

    fn close_stream(&self, state: &mut State, which: usize) {
        let State { streams, log } = state;
        streams[which].pipe = None;
        streams[which].lines.flush(|line| {
            self.tell(which, line);
            log.line(line);
        });
    }

    fn tell(&self, which: usize, line: &[u8]) {
        tracing::debug!(
            target: TARGET,
            function = %self.function,
            instance = %self.instance,
            stream = ["stdout", "stderr"][which],
            line = %line.escape_ascii(),
        );
    }

    pub(super) fn begin(&self, call: Call, id: RequestId) {
        self.state.lock().log.begin(call, id);
    }

    /// Ends a call's part of the log; `exact` if it is about to be asked for.
    pub(super) fn finish(&self, call: Call, id: RequestId, ended: Ended, exact: bool) {
        let mut state = self.state.lock();
        if exact {
            self.catch_up(&mut state);
            let State { streams, log } = &mut *state;
            for (which, stream) in streams.iter_mut().enumerate() {
                stream.lines.flush(|line| {
                    self.tell(which, line);
                    log.line(line);
                });
            }
        }
        state.log.finish(call, id, ended);
    }

    pub(super) fn tail(&self, id: RequestId, max: usize) -> Option<Bytes> {
        self.state.lock().log.tail(id, max)
    }

    /// The last `max` bytes, after reading what is there.
    pub(super) fn last(&self, max: usize) -> Bytes {
        let mut state = self.state.lock();
        self.catch_up(&mut state);
        state.log.last(max)
    }

    /// Reads what is left and closes the pipes, whoever still holds their other ends.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        self.catch_up(&mut state);
        for which in 0..state.streams.len() {
            self.close_stream(&mut state, which);
        }
        let lost = state.log.lost();
        if lost > 0 {
            tracing::debug!(function = %self.function, instance = %self.instance, lost, "log bytes dropped");
        }
    }
}
