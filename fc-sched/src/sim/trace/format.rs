//! The formats by name, and what reading one gives.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use fc_core::{Error, Result};

use super::{Trace, azure2019, azure2021, huawei2023, plain};

/// A format of traces.
///
/// | name | source | a path is |
/// |---|---|---|
/// | `azure2019` | Azure Functions Trace 2019 | a folder, or the file of invocations |
/// | `azure2021` | Azure Functions Invocation Trace 2021 | a file |
/// | `huawei2023` | Huawei Public and Private 2023 | a folder, or a file of requests |
/// | `csv` | anybody | a file |
///
/// Each is described where it is read: [`TraceFormat::read`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceFormat {
    /// Counts a minute, percentiles of durations and of memory.
    Azure2019,
    /// A row for each invocation.
    Azure2021,
    /// Counts a minute or a second, mean durations and memory.
    Huawei2023,
    /// A row for each invocation: `timestamp,function,duration_ms,memory_mb`.
    Csv,
}

/// How a trace is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadOptions {
    /// Of what the data set leaves open: where in its minute an invocation comes, and how long it
    /// runs.
    pub seed: u64,
    /// Invocations of 16 bytes that are read at most; 500 million by default.
    pub invocations_max: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { seed: 1, invocations_max: 500_000_000 }
    }
}

/// A trace, and what had to be assumed because the data does not say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// What was read.
    pub trace: Trace,
    /// One sentence for each assumption that was needed.
    pub assumed: Vec<String>,
}

impl TraceFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Azure2019, Self::Azure2021, Self::Huawei2023, Self::Csv];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Azure2019 => "azure2019",
            Self::Azure2021 => "azure2021",
            Self::Huawei2023 => "huawei2023",
            Self::Csv => "csv",
        }
    }

    /// Reads the trace at `path`. Time 0 is the earliest invocation, or where the data set's own
    /// count of minutes begins; instances run one invocation at once, for no data set says more.
    ///
    /// **`azure2019`** ([description][a19]; Shahrad et al., *Serverless in the Wild*, USENIX ATC
    /// 2020). A folder with `invocations.csv`, `durations.csv` and `memory.csv`, or with the data
    /// set's own names (`invocations_per_function_md.anon.d01.csv`,
    /// `function_durations_percentiles.anon.d01.csv`, `app_memory_percentiles.anon.d01.csv`, any
    /// days), or the file of invocations alone. A function is `HashOwner`, `HashApp` and
    /// `HashFunction`; an account is a `HashOwner`. The invocations of a minute come anywhere in
    /// it. A duration is drawn from the seven `percentile_Average_` columns, linear between
    /// them. Memory is the app's `AverageAllocatedMb_pct100`, the most that it was seen to hold.
    /// Where days disagree, the first that knows a function or app counts.
    ///
    /// **`azure2021`** ([description][a21]). Columns `app`, `func`, `end_timestamp`, `duration`,
    /// both in seconds; an invocation comes at its end less its duration. An account is an app.
    /// The data has no memory.
    ///
    /// **`huawei2023`** ([description][h23]; Joosen et al., *How Does It Function?*, SoCC 2023).
    /// A folder with `requests_minute/` and, as far as published, `function_delay_minute/`,
    /// `memory_limit_minute/` and `instances_minute/` (without the first: the same with
    /// `_second`), or a folder of such days, or one file of requests. Columns `day`, `time` in
    /// seconds, then a function each; an empty value or `NaN` is none. The data names no
    /// accounts: each function is its own. Every invocation of a minute takes that minute's mean
    /// delay, which is in milliseconds (the description does not say so; those who use the data
    /// agree on it). `memory_limit_minute` is "allocated memory for all pods running that function
    /// (MB)", so an instance has its mean divided by the mean of `instances_minute`, or as it
    /// stands where that folder is missing. `memory_usage_minute` is a percentage of it, and is
    /// not read. Days that the data leaves out are pauses.
    ///
    /// **`csv`**. Columns `timestamp` (seconds, whole or not, since any origin), `function`,
    /// `duration_ms`, `memory_mb` in any order; an `account` too, or else each function is its
    /// own. Other columns are ignored. Rows may be in any order. A function has the largest
    /// memory of its rows.
    ///
    /// [a19]: https://github.com/Azure/AzurePublicDataset/blob/master/AzureFunctionsDataset2019.md
    /// [a21]: https://github.com/Azure/AzurePublicDataset/blob/master/AzureFunctionsInvocationTrace2021.md
    /// [h23]: https://github.com/sir-lab/data-release/blob/main/README_data_release_2023.md
    ///
    /// # Errors
    ///
    /// Whatever is not as described, by file, line, column and value; more than
    /// [`FUNCTIONS_MAX`](super::FUNCTIONS_MAX) functions, [`ReadOptions::invocations_max`]
    /// invocations, or memory for them; a size or time over its limit.
    pub fn read(self, path: &Path, options: &ReadOptions) -> Result<Reading> {
        match self {
            Self::Azure2019 => azure2019::read(path, options),
            Self::Azure2021 => azure2021::read(path, options),
            Self::Huawei2023 => huawei2023::read(path, options),
            Self::Csv => plain::read(path, options),
        }
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TraceFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("format", format_args!("{name:?} is none of {known}"))
        })
    }
}
