//! The process that was started: the leader of its group, held until the group is gone.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use fc_core::{Error, Exit, Result};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus,
};

use super::failed;
use super::program::Program;

/// A started program. It is not reaped before its tree is gone: until then its id, which is also
/// its group's, cannot become somebody else's.
#[derive(Debug)]
pub(super) struct Leader {
    pid: Pid,
    /// `None` once it is reaped.
    pidfd: Mutex<Option<OwnedFd>>,
}

/// A leader and what it prints.
pub(super) struct Spawned {
    pub(super) leader: Arc<Leader>,
    /// Standard output and standard error.
    pub(super) pipes: [OwnedFd; 2],
}

/// Starts `program` as the leader of a group of its own, with nothing of the platform's but the
/// environment given.
///
/// There is no code between fork and exec, so that the standard library may use `posix_spawn`,
/// whose cost does not grow with the platform's memory.
pub(super) fn spawn(
    program: &Program,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    open_files_max: u32,
) -> Result<Spawned> {
    let mut command = Command::new(&program.path);
    command
        .args(&program.args)
        .current_dir(&program.directory)
        .env_clear()
        .envs(environment)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(program, error))?;
    let pipes = (child.stdout.take(), child.stderr.take());
    let mut guard = Unfinished(Some(child));
    let pid = guard.pid()?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)
        .map_err(failed("pidfd_open (Linux 5.10 or later)"))?;
    limit_open_files(pid, open_files_max)?;
    let (Some(out), Some(err)) = pipes else {
        return Err(Error::internal("a started program has no pipes"));
    };
    guard.0 = None;
    let leader = Arc::new(Leader { pid, pidfd: Mutex::new(Some(pidfd)) });
    Ok(Spawned { leader, pipes: [out.into(), err.into()] })
}

/// Why it could not be started, in the words of the check if that finds the reason.
fn not_started(program: &Program, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match program.check() {
        Err(reason) => reason,
        Ok(()) if matches!(error.kind(), NotFound | PermissionDenied) => {
            let shown = program.path.display();
            let what = format!("'{shown}' or its loader cannot be executed: {error}");
            Error::invalid("command", what)
        }
        Ok(()) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            let shown = program.path.display();
            let what = format!("'{shown}' has no '#!' line and is no program of this machine");
            Error::invalid("command", what)
        }
        Ok(()) => failed("spawn")(error),
    }
}

/// Limits what the program inherits, and what its children inherit of it.
fn limit_open_files(pid: Pid, most: u32) -> Result<()> {
    let own = rustix::process::getrlimit(Resource::Nofile);
    let most = u64::from(most).min(own.maximum.unwrap_or(u64::MAX));
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    match rustix::process::prlimit(Some(pid), Resource::Nofile, limit) {
        // It has ended already: that is found out where its readiness is waited for.
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(failed("prlimit")(error)),
    }
}

/// A child that nobody holds yet: killed and reaped if it stays so.
struct Unfinished(Option<Child>);

impl Unfinished {
    fn pid(&self) -> Result<Pid> {
        let raw = self.0.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        raw.and_then(Pid::from_raw).ok_or_else(|| Error::internal("a child without a process id"))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Leader {
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Becomes readable when the leader has ended.
    pub(super) fn pidfd(&self) -> Result<OwnedFd> {
        let copy = self.pidfd.lock().as_ref().map(OwnedFd::try_clone);
        copy.ok_or_else(|| Error::internal("the process is gone"))?.map_err(failed("pidfd"))
    }

    /// Signals all of the group, if it may still be this instance's.
    pub(super) fn signal_group(&self, signal: Signal) {
        let held = self.pidfd.lock();
        if held.is_some() {
            // A group that is gone has nobody to signal.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    /// How the leader ended, if it has. It stays unreaped.
    pub(super) fn outcome(&self) -> Option<Exit> {
        let held = self.pidfd.lock();
        let Some(pidfd) = &*held else {
            // Who reaps asks first; nobody asks later for more than whether it is gone.
            return Some(Exit::Code(-1));
        };
        match wait(pidfd, WaitIdOptions::NOWAIT) {
            Ok(status) => status.map(|status| exit_of(&status)),
            // Somebody else of this process reaped it: it is gone, and nobody knows how.
            Err(error) => {
                tracing::warn!(pid = self.pid.as_raw_nonzero(), %error, "exit status lost");
                Some(Exit::Code(-1))
            }
        }
    }

    /// Takes the ended leader away. From now on its id may be somebody else's.
    pub(super) fn reap(&self) {
        let mut held = self.pidfd.lock();
        let running = |pidfd| matches!(wait(pidfd, WaitIdOptions::empty()), Ok(None));
        if !held.as_ref().is_some_and(running) {
            *held = None;
        }
    }
}

fn wait(pidfd: &OwnedFd, how: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | how;
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        // What a non-blocking descriptor says while the process runs.
        Err(Errno::AGAIN) => Ok(None),
        other => other,
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(-1),
    }
}
