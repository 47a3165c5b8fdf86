//! Where instances run.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Attachment, Context, FunctionVersion, InstanceId, Invocation, Reply, RequestId, Result,
};

/// Which family a runtime belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuntimeKind {
    /// A Rust handler of this process.
    InProcess,
    /// A WASI HTTP component.
    Wasm,
    /// A program that serves HTTP.
    Process,
    /// A container that serves HTTP.
    Container,
    /// A language's event runtime, brought by the platform.
    BuiltIn,
}

/// What stands between two instances.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Isolation {
    /// Nothing: they share an address space.
    None,
    /// A process of its own, the same user and files.
    Process,
    /// A sandbox: its own memory, files and rights.
    Sandbox,
    /// A virtual machine.
    VirtualMachine,
}

/// Which limits of an instance a runtime enforces. What it does not enforce it says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Enforcement {
    /// The share of CPU.
    pub cpu: bool,
    /// The memory.
    pub memory: bool,
    /// The private disk.
    pub disk: bool,
    /// Open files.
    pub open_files: bool,
    /// Processes and threads.
    pub processes: bool,
}

/// What a runtime can do: data, checked where functions are created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RuntimeCapabilities {
    /// Its family.
    pub kind: RuntimeKind,
    /// What stands between its instances.
    pub isolation: Isolation,
    /// Requests at once in one instance.
    pub concurrency_max: u32,
    /// Bodies pass in both directions while they arise.
    pub streaming: bool,
    /// `suspend` and `resume` work.
    pub suspend: bool,
    /// The limits that hold.
    pub enforces: Enforcement,
}

/// More CPU for an instance that comes up (QUO-5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CpuBoost {
    /// Its share meanwhile, thousandths of a vCPU.
    pub cpu_milli: u32,
    /// For how long, from the start's beginning. Until [`Instance::end_boost`], which comes then.
    pub lasts: std::time::Duration,
}

/// What an instance is started from.
#[derive(Clone, Debug)]
pub struct InstanceSpec {
    /// Its id.
    pub id: InstanceId,
    /// What it serves, ever (SCH-5).
    pub version: Arc<FunctionVersion>,
    /// Its network identity.
    pub attachment: Attachment,
    /// Its CPU until [`Instance::end_boost`]; `None`: its version's from the start. Only a runtime
    /// that [enforces](Enforcement::cpu) CPU is given one.
    pub boost: Option<CpuBoost>,
}

/// A moment of an instance's life at which the function's code is called (`alibaba-fc.md` 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hook {
    /// Before the first request, once.
    Initialize,
    /// Before each freeze.
    PreFreeze,
    /// Before the end.
    PreStop,
}

/// How an instance ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// The platform stopped it.
    Stopped,
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// A handler of this process panicked.
    Panic,
    /// It ran out of memory.
    OutOfMemory,
    /// Its health check failed.
    Unhealthy,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Panic => f.write_str("panic"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Unhealthy => f.write_str("failed health check"),
        }
    }
}

/// Starts instances.
#[async_trait]
pub trait Runtime: Debug + Send + Sync + 'static {
    /// What it can do. Constant.
    fn capabilities(&self) -> RuntimeCapabilities;

    /// Makes `version` startable: fetches, verifies, compiles. Idempotent, and called before the
    /// version's first start; a later start may find it done.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for code that this runtime cannot run; it names what is missing.
    ///
    /// # Cancel safety
    ///
    /// Safe: it may be called again.
    async fn prepare(&self, cx: Context, version: &Arc<FunctionVersion>) -> Result<()>;

    /// Starts an instance that is ready for its `Initialize` hook, or for requests if it has none.
    ///
    /// # Errors
    ///
    /// `FunctionNotStarted` if the program did not come up, with what it said. Nothing is left of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    async fn start(&self, cx: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>>;
}

/// One running instance. It serves one version of one function of one account, ever.
#[async_trait]
pub trait Instance: Debug + Send + Sync + 'static {
    /// Calls the function's code at a moment of the instance's life, within the hook's own limit,
    /// which is the context's hard deadline.
    ///
    /// # Errors
    ///
    /// `InitializationError` from `Initialize`: the instance is to be stopped. Errors of the other
    /// hooks are noted and ignored.
    async fn run_hook(&self, cx: Context, hook: Hook) -> Result<()>;

    /// Runs one request. At most `instance_concurrency` are called at once. The reply's body may
    /// outlive the future; the request is over when the body is.
    ///
    /// # Errors
    ///
    /// `FunctionCrashed` if the instance died under it, `BadResponse` if its answer breaks the
    /// contract or its connection broke.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the body before its end, cancels the request. The instance may be
    /// used again only if its function says so; the scheduler decides that.
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply>;

    /// The last `max` bytes of what the function printed for `request`, markers included; `None`
    /// if the runtime keeps no log. Called after the request is over, and exact for one whose
    /// [`Invocation::log`] asked for it: what it printed before it answered is there.
    async fn log_tail(&self, request: RequestId, max: usize) -> Option<Bytes>;

    /// Takes the CPU away. Only called without a request running.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the capability is not declared.
    async fn suspend(&self, cx: Context) -> Result<()>;

    /// Gives the CPU back.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the capability is not declared.
    async fn resume(&self, cx: Context) -> Result<()>;

    /// Holds the instance to its version's CPU from now on. Called once, if it was started with a
    /// [`CpuBoost`].
    ///
    /// # Errors
    ///
    /// `Unsupported` if the runtime does not enforce CPU.
    async fn end_boost(&self, cx: Context) -> Result<()>;

    /// Waits for the instance's end, whoever brings it about. Each call gives the same answer.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    async fn exited(&self) -> Exit;

    /// Ends the instance and frees all that it held: processes, ports, files. Requests that run in it
    /// end with an error. Idempotent. When it
    /// returns, nothing of the instance is left.
    ///
    /// # Errors
    ///
    /// Whatever could not be freed; it may be called again.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have stopped half of it: call again.
    async fn stop(&self, cx: Context) -> Result<()>;
}
