//! Which files of a folder are the data set's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use fc_core::{Error, Result};

/// Days: the longest data set has 141 files.
const DAYS_MAX: usize = 10_000;

/// The files of one day.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Day {
    pub(super) requests: PathBuf,
    pub(super) delays: Option<PathBuf>,
    pub(super) memory: Option<PathBuf>,
    pub(super) instances: Option<PathBuf>,
}

/// The parts of the data set, in the order of their names.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Files {
    pub(super) days: Vec<Day>,
}

impl Files {
    /// One file of requests, a folder of such files, or a folder of folders of metrics.
    pub(super) fn at(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let (delays, memory, instances) = (None, None, None);
            let requests = path.into();
            return Ok(Self { days: vec![Day { requests, delays, memory, instances }] });
        }
        for unit in ["minute", "second"] {
            let requests = path.join(format!("requests_{unit}"));
            if !requests.is_dir() {
                continue;
            }
            let beside = |folder: String, day: &OsString| {
                Some(path.join(folder).join(day)).filter(|file| file.is_file())
            };
            let day = |day: OsString| Day {
                delays: beside(format!("function_delay_{unit}"), &day),
                // These two are published by the minute only.
                memory: beside("memory_limit_minute".into(), &day),
                instances: beside("instances_minute".into(), &day),
                requests: requests.join(day),
            };
            return Ok(Self { days: days(&requests)?.into_iter().map(day).collect() });
        }
        let day = |day: OsString| Day {
            requests: path.join(day),
            delays: None,
            memory: None,
            instances: None,
        };
        Ok(Self { days: days(path)?.into_iter().map(day).collect() })
    }
}

/// The names `*.csv` in a folder, sorted, at least one.
fn days(folder: &Path) -> Result<Vec<OsString>> {
    let fail = |what: String| Error::invalid("trace", format_args!("{}: {what}", folder.display()));
    let mut days = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| fail(error.to_string()))? {
        let name = entry.map_err(|error| fail(error.to_string()))?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "csv") {
            days.push(name);
        }
        if days.len() > DAYS_MAX {
            return Err(fail(format!("more than {DAYS_MAX} days")));
        }
    }
    if days.is_empty() {
        return Err(fail(
            "no requests_minute, no requests_second and no file of a day, *.csv".into(),
        ));
    }
    days.sort_unstable();
    Ok(days)
}
