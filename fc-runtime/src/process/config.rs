//! What a process runtime is configured with.

use std::ops::RangeInclusive;
use std::time::Duration;

use fc_core::{Error, Result};

/// What a [`ProcessRuntime`](super::ProcessRuntime) is configured with.
///
/// ```
/// use fc_runtime::process::ProcessConfig;
/// let config = ProcessConfig { region: "cn-hangzhou".into(), ..ProcessConfig::default() };
/// assert_eq!(config.ready.as_secs(), 120);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessConfig {
    /// What functions are told in `FC_REGION` and `x-fc-region`; empty by default.
    pub region: String,
    /// Ports that instances without an address of their own listen on. 20000 to 29999 by default:
    /// outside Linux's ephemeral range (32768 to 60999), from which other programs are served.
    pub ports: RangeInclusive<u16>,
    /// By when a program must listen: 120 s by default (`alibaba-fc.md` 5.3).
    pub ready: Duration,
    /// Between SIGTERM and SIGKILL when an instance is stopped; 100 ms by default.
    pub stop_grace: Duration,
    /// What is kept of an instance's output, bytes; 64 KiB by default. The oldest goes first.
    pub log_bytes_max: usize,
    /// Open files of one process of an instance; 2048 by default (QUO-6).
    pub open_files_max: u32,
    /// Variables of the platform's own environment that functions see too. `PATH`, `LANG` and `TZ`
    /// by default; nothing else leaks.
    pub inherit: Vec<String>,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            region: String::new(),
            ports: 20_000..=29_999,
            ready: Duration::from_secs(120),
            stop_grace: Duration::from_millis(100),
            log_bytes_max: 64 * 1024,
            open_files_max: 2_048,
            inherit: ["PATH", "LANG", "TZ"].map(String::from).into(),
        }
    }
}

/// Below this a program cannot even load its libraries.
const OPEN_FILES_MIN: u32 = 16;

impl ProcessConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if self.ports.is_empty() || *self.ports.start() == 0 {
            return Err(Error::invalid("ports", "must hold at least one port, and not 0"));
        }
        if !self.region.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("region", "must be printable ASCII without spaces"));
        }
        if self.open_files_max < OPEN_FILES_MIN {
            let what = format!("{} is below {OPEN_FILES_MIN}", self.open_files_max);
            return Err(Error::invalid("open_files_max", what));
        }
        let reserved = |name: &&String| name.starts_with("FC_") || name.is_empty();
        if let Some(name) = self.inherit.iter().find(reserved) {
            return Err(Error::invalid("inherit", format_args!("'{name}' is reserved")));
        }
        Ok(())
    }
}
