//! A runtime in memory that does as it is told, and is a witness of what was done to it.

mod answer;
mod instance;
mod script;
mod witness;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    Clock, Context, Enforcement, Error, ErrorKind, FunctionVersion, Instance, InstanceSpec,
    Isolation, Result, Runtime, RuntimeCapabilities, RuntimeKind,
};
use parking_lot::Mutex;

use instance::ScriptedInstance;
pub use script::{Answer, Script};
use witness::Ledger;
pub use witness::{Event, InstanceWitness, Witness};

/// A runtime in memory that does as it is told, and is a witness of what was done to it.
///
/// All functions follow one [`Script`], except those that were given their own. Time passes on the
/// clock alone, so with a [`SimClock`](crate::SimClock) nothing happens until the test moves it. The
/// witness keeps a record of every instance there ever was.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use fc_core::Timestamp;
/// use fc_testkit::{ScriptedRuntime, SimClock};
/// use fc_testkit::scripted::{Answer, Script};
///
/// let clock = Arc::new(SimClock::new(Timestamp::default()));
/// let runtime = ScriptedRuntime::new(clock)
///     .start_delay(Duration::from_millis(100))
///     .run_time(Duration::from_millis(5))
///     .fail_start(2)
///     .function("crashes", Script { answer: Answer::Crash, ..Script::default() });
/// assert_eq!(runtime.witness().starts, 0);
/// ```
pub struct ScriptedRuntime {
    clock: Arc<dyn Clock>,
    capabilities: RuntimeCapabilities,
    scripts: Arc<Mutex<Scripts>>,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Scripts {
    default: Script,
    by_function: HashMap<String, Script>,
}

impl Scripts {
    fn of(&mut self, version: &FunctionVersion) -> &mut Script {
        self.by_function.get_mut(version.name().as_str()).unwrap_or(&mut self.default)
    }
}

impl ScriptedRuntime {
    /// A runtime that starts at once, and echoes at once. It declares everything that a runtime can
    /// do without enforcing a limit, and 1000 requests at once in one instance.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            capabilities: RuntimeCapabilities {
                kind: RuntimeKind::InProcess,
                isolation: Isolation::None,
                concurrency_max: 1_000,
                streaming: true,
                suspend: true,
                enforces: Enforcement::default(),
            },
            scripts: Arc::default(),
            ledger: Arc::default(),
        }
    }

    /// What it says that it can do. Without `suspend` it refuses to suspend and to resume; without
    /// `streaming` it reads a request to its end before it answers.
    #[must_use]
    pub fn capabilities(self, capabilities: RuntimeCapabilities) -> Self {
        Self { capabilities, ..self }
    }

    /// How long a start takes.
    #[must_use]
    pub fn start_delay(self, delay: Duration) -> Self {
        self.with(|script| script.start_delay = delay)
    }

    /// How long a request takes before it answers.
    #[must_use]
    pub fn run_time(self, time: Duration) -> Self {
        self.with(|script| script.run_time = time)
    }

    /// How long each hook takes.
    #[must_use]
    pub fn hook_time(self, time: Duration) -> Self {
        self.with(|script| script.hook_time = time)
    }

    /// The first `times` starts fail with `FunctionNotStarted`, after the start delay;
    /// [`u32::MAX`]: all.
    #[must_use]
    pub fn fail_start(self, times: u32) -> Self {
        self.with(|script| script.start_failures = times)
    }

    /// The first `times` initializers fail, after the hook time; [`u32::MAX`]: all.
    #[must_use]
    pub fn fail_initializer(self, times: u32) -> Self {
        self.with(|script| script.initializer_failures = times)
    }

    /// What a request is answered.
    #[must_use]
    pub fn answer(self, answer: Answer) -> Self {
        self.with(|script| script.answer = answer)
    }

    /// The function of this name follows a script of its own, in every account.
    #[must_use]
    pub fn function(self, name: &str, script: Script) -> Self {
        self.set_function(name, script);
        self
    }

    /// [`ScriptedRuntime::function`] while the runtime is in use. A request follows the script of
    /// the moment at which it comes.
    pub fn set_function(&self, name: &str, script: Script) {
        self.scripts.lock().by_function.insert(name.to_owned(), script);
    }

    /// What was seen until now.
    pub fn witness(&self) -> Witness {
        self.ledger.lock().witness.clone()
    }

    fn with(self, edit: impl FnOnce(&mut Script)) -> Self {
        edit(&mut self.scripts.lock().default);
        self
    }
}

#[async_trait]
impl Runtime for ScriptedRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        self.capabilities
    }

    async fn prepare(&self, _: Context, _: &Arc<FunctionVersion>) -> Result<()> {
        self.ledger.lock().witness.prepares += 1;
        Ok(())
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        self.ledger.lock().witness.starts += 1;
        let (delay, fails) = {
            let mut scripts = self.scripts.lock();
            let script = scripts.of(&spec.version);
            (script.start_delay, script::take_one(&mut script.start_failures))
        };
        if !delay.is_zero() {
            self.clock.sleep_until(self.clock.now() + delay).await;
        }
        if fails {
            self.ledger.lock().witness.failed_starts += 1;
            return Err(Error::new(ErrorKind::FunctionNotStarted, "scripted not to start"));
        }
        self.ledger.lock().started(spec);
        let initializer_fails = {
            let mut scripts = self.scripts.lock();
            script::take_one(&mut scripts.of(&spec.version).initializer_failures)
        };
        Ok(Arc::new(ScriptedInstance::new(self, spec.clone(), initializer_fails)))
    }
}

impl fmt::Debug for ScriptedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRuntime").field("witness", &self.ledger.lock().witness).finish()
    }
}

#[cfg(test)]
mod tests;
