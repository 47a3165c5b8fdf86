//! Functions as programs that serve HTTP: the custom runtime contract (RUN-2, `alibaba-fc.md` 5.3
//! to 5.7).
//!
//! A version's code is a directory. Its program (`command`, or `bootstrap` in that directory) is
//! started there, listens on the port that `FC_CUSTOM_LISTEN_PORT` names, and is sent events
//! (`POST /invoke`), the requests of HTTP triggers as they came, and its hooks.
//!
//! # What is enforced, and what is not
//!
//! Every instance is a process group of its own with a limit of open files. It runs as the
//! platform's user and sees its files: CPU, memory, disk and processes are **not** limited
//! ([`Isolation::Process`]). Stopping ends the whole tree: the group, whoever carries the
//! instance's `FC_INSTANCE_ID` in its environment, and their descendants. A program that leaves its
//! group, its parent *and* its environment behind is not found; only a sandbox holds such.
//!
//! # Requires
//!
//! Linux 5.10 (pidfd), `/proc`, and a tokio runtime with I/O and the clock's timers.

mod answer;
mod capture;
mod client;
mod config;
mod connections;
mod descriptor;
mod environment;
mod exchange;
mod head;
mod health;
mod hop;
mod instance;
mod leader;
mod lines;
mod log;
mod memory;
mod ports;
mod process_table;
mod program;
mod ready;
mod running;
mod sweeper;
mod tree;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    Clock, Context, Enforcement, Error, ErrorKind, FunctionVersion, Instance, InstanceSpec,
    Isolation, Result, Runtime, RuntimeCapabilities, RuntimeKind,
};

pub use config::ProcessConfig;

use capture::Capture;
use connections::Connections;
use environment::{Inherited, environment};
use head::Heads;
use instance::ProcessInstance;
use ports::Ports;
use program::Program;
use running::Running;
use sweeper::Sweeper;
use tree::Tree;

/// Where a program listens that has an address of its own and does not say (`alibaba-fc.md` 5.3).
const PORT_DEFAULT: u16 = 9_000;

/// Runs functions as processes of this machine.
///
/// ```no_run
/// use std::sync::Arc;
/// use fc_core::{Clock, SystemClock};
/// use fc_runtime::process::{ProcessConfig, ProcessRuntime};
///
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
/// let runtime = ProcessRuntime::new(ProcessConfig::default(), clock)?;
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcessRuntime {
    config: ProcessConfig,
    clock: Arc<dyn Clock>,
    ports: Ports,
    inherited: Inherited,
    sweeper: Arc<Sweeper>,
}

impl ProcessRuntime {
    /// A runtime of `config` that waits with `clock`. The inherited variables are read now.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names a wrong field, `InternalServerError` if its thread cannot be
    /// started.
    pub fn new(config: ProcessConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            ports: Ports::new(&config.ports),
            inherited: Inherited::read(&config.inherit),
            sweeper: Arc::new(Sweeper::start()?),
            config,
            clock,
        })
    }

    fn launch(&self, spec: &InstanceSpec) -> Result<(ProcessInstance, SocketAddr)> {
        let version = &spec.version;
        if spec.attachment.namespace.is_some() {
            let message = "attachment: the process runtime enters no network namespace";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let program = Program::find(version, self.inherited.get("PATH"))?;
        let (port, guard) = if spec.attachment.own_address {
            let config = version.custom_runtime();
            (config.map_or(PORT_DEFAULT, |config| config.port), None)
        } else {
            let guard = self.ports.take().ok_or_else(|| {
                let message = format!("no port of {:?} is free", self.config.ports);
                Error::new(ErrorKind::ResourceThrottled, message)
            })?;
            (guard.port(), Some(guard))
        };
        let address = SocketAddr::new(spec.attachment.address, port);
        let region = &self.config.region;
        let heads = Heads::new(version, region, address)?;
        let directory = &program.directory;
        let variables = environment(&self.inherited, version, spec.id, port, region, directory);
        let spawned = leader::spawn(&program, variables, self.config.open_files_max)?;
        // From here on nothing is left behind, whatever fails.
        let tree = Tree::new(spec.id, spawned.leader.clone(), guard, self.sweeper.clone());
        let capture = Capture::new(
            spec.id,
            version.name().clone(),
            spawned.pipes,
            self.config.log_bytes_max,
        )?;
        let running = Running::new(
            spec.id,
            version.clone(),
            self.clock.clone(),
            spawned.leader,
            Arc::new(capture),
            Connections::new(address, version.instance_concurrency()),
            heads,
        );
        let instance = ProcessInstance::new(&Arc::new(running), tree, self.config.stop_grace);
        Ok((instance, address))
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            kind: RuntimeKind::Process,
            isolation: Isolation::Process,
            concurrency_max: u32::MAX,
            streaming: true,
            suspend: false,
            enforces: Enforcement { open_files: true, ..Enforcement::default() },
        }
    }

    async fn prepare(&self, _: Context, version: &Arc<FunctionVersion>) -> Result<()> {
        // The driver of the network chooses the address later; every other value is proved here.
        let address = SocketAddr::from(([127, 0, 0, 1], PORT_DEFAULT));
        Heads::new(version, &self.config.region, address)?;
        Program::find(version, self.inherited.get("PATH"))?.check()
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        let began = self.clock.now();
        let (instance, address) = self.launch(spec)?;
        let running = instance.running().clone();
        match running.first_connection(address, began, self.config.ready).await {
            Ok(connection) => running.connections.keep(connection),
            Err(error) => {
                instance.end(Duration::ZERO).await?;
                return Err(error);
            }
        }
        // A crash is told with the last figure known: there is one from the beginning.
        running.memory.peak(self.clock.now());
        Ok(Arc::new(instance))
    }
}

/// The platform's own failure at `what`.
fn failed<E>(what: &'static str) -> impl Fn(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| Error::internal(format!("{what}: {error}")).with_source(error)
}
