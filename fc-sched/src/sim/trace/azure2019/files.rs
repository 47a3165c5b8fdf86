//! Which files of a folder are the data set's.

use std::fs;
use std::path::{Path, PathBuf};

use fc_core::{Error, Result};

/// Files that a folder is looked through for.
const FILES_MAX: usize = 10_000;

/// Days that the files' names may span: the data set has 14.
const DAYS_MAX: u32 = 366;

const INVOCATIONS: [&str; 2] = ["invocations.csv", "invocations_per_function_md.anon"];
const DURATIONS: [&str; 2] = ["durations.csv", "function_durations_percentiles.anon"];
const MEMORY: [&str; 2] = ["memory.csv", "app_memory_percentiles.anon"];

/// The parts of the data set.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Files {
    /// By day, counted from the first.
    pub(super) invocations: Vec<(usize, PathBuf)>,
    pub(super) durations: Vec<PathBuf>,
    pub(super) memory: Vec<PathBuf>,
}

impl Files {
    /// The files of a folder, or one file of invocations.
    pub(super) fn at(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let invocations = vec![(0, path.into())];
            return Ok(Self { invocations, durations: Vec::new(), memory: Vec::new() });
        }
        let fail =
            |what: String| Error::invalid("trace", format_args!("{}: {what}", path.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| fail(error.to_string()))? {
            let entry = entry.map_err(|error| fail(error.to_string()))?;
            names.push(entry.file_name());
            if names.len() > FILES_MAX {
                return Err(fail(format!("more than {FILES_MAX} files")));
            }
        }
        names.sort_unstable();
        let of_kind = |kind: [&str; 2]| -> Vec<PathBuf> {
            let names = names.iter().filter(|name| {
                let name = name.to_string_lossy();
                name == kind[0] || (name.starts_with(kind[1]) && name.ends_with(".csv"))
            });
            names.map(|name| path.join(name)).collect()
        };
        let files = of_kind(INVOCATIONS);
        if files.is_empty() {
            return Err(fail(format!("no {} and no {}*.csv", INVOCATIONS[0], INVOCATIONS[1])));
        }
        let days = files.iter().map(|file| day(file).unwrap_or(0)).collect::<Vec<u32>>();
        let first = days.iter().copied().min().unwrap_or(0);
        let mut invocations = Vec::new();
        for (day, file) in days.into_iter().zip(files) {
            let day = day - first;
            if day >= DAYS_MAX {
                return Err(fail(format!("the files span more than {DAYS_MAX} days")));
            }
            if invocations.iter().any(|&(known, _)| known == day as usize) {
                return Err(fail(format!("two files of invocations for day {}", day + first)));
            }
            invocations.push((day as usize, file));
        }
        invocations.sort_unstable();
        Ok(Self { invocations, durations: of_kind(DURATIONS), memory: of_kind(MEMORY) })
    }
}

/// The number in `….d07.csv`.
fn day(file: &Path) -> Option<u32> {
    let name = file.file_name()?.to_str()?;
    name.strip_suffix(".csv")?.rsplit_once(".d")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    fn check(names: &[&str], invocations: &[(usize, &str)], durations: &[&str], memory: &[&str]) {
        let folder = folder(names);
        let path = |name: &&str| folder.path().join(name);
        let expected = Files {
            invocations: invocations.iter().map(|(day, name)| (*day, path(name))).collect(),
            durations: durations.iter().map(path).collect(),
            memory: memory.iter().map(path).collect(),
        };
        assert_eq!(Files::at(folder.path()).unwrap(), expected);
    }

    #[test]
    fn a_folder_has_the_short_names_or_those_of_the_data_set() {
        let short = ["memory.csv", "durations.csv", "invocations.csv", "README.md"];
        check(&short, &[(0, "invocations.csv")], &["durations.csv"], &["memory.csv"]);
        let long = [
            "app_memory_percentiles.anon.d02.csv",
            "function_durations_percentiles.anon.d02.csv",
            "function_durations_percentiles.anon.d04.csv",
            "invocations_per_function_md.anon.d04.csv",
            "invocations_per_function_md.anon.d02.csv",
        ];
        check(&long, &[(0, long[4]), (2, long[3])], &[long[1], long[2]], &[long[0]]);
    }

    #[test]
    fn a_folder_without_invocations_or_with_a_day_twice_is_refused() {
        let refused = Files::at(folder(&["durations.csv"]).path()).unwrap_err();
        assert!(refused.message().contains("no invocations.csv and no invocations_per"));
        let twice = ["invocations.csv", "invocations_per_function_md.anon.d00.csv"];
        let refused = Files::at(folder(&twice).path()).unwrap_err();
        assert!(refused.message().contains("two files of invocations for day 0"), "{refused}");
        let far = [
            "invocations_per_function_md.anon.d1.csv",
            "invocations_per_function_md.anon.d4000000000.csv",
        ];
        let refused = Files::at(folder(&far).path()).unwrap_err();
        assert!(refused.message().contains("span more than 366 days"), "{refused}");
    }
}
