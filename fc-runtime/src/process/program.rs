//! Which program a version is, and whether it can be started at all.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fc_core::{CodeRef, Error, FunctionVersion, Result};
use rustix::fs::Access;

/// Where programs are looked for if neither the platform nor the function says.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What the kernel reads of a file to find its interpreter.
const HEAD_BYTES: usize = 256;

/// A version's program.
#[derive(Debug)]
pub(super) struct Program {
    /// The code directory, absolute.
    pub(super) directory: PathBuf,
    /// The program, absolute.
    pub(super) path: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    search: OsString,
}

impl Program {
    /// Finds the program of `version`; names without a `/` are looked for in `search`, a list like
    /// `PATH`, unless the function has a `PATH` of its own.
    pub(super) fn find(version: &FunctionVersion, search: Option<&OsStr>) -> Result<Self> {
        let CodeRef::Directory { path, .. } = &**version.code() else {
            return Err(Error::invalid(
                "code",
                "the process runtime runs a directory of this machine, and nothing else",
            ));
        };
        let directory = std::path::absolute(path)
            .map_err(|error| Error::invalid("code.path", &error).with_source(error))?;
        let own = version.environment().find(|(name, _)| *name == "PATH");
        let search = own
            .map(|(_, value)| OsStr::new(value))
            .or(search)
            .unwrap_or(OsStr::new(DEFAULT_PATH))
            .to_os_string();
        let config = version.custom_runtime();
        let words = config.into_iter().flat_map(|config| config.command.iter().chain(&config.args));
        let mut words: Vec<String> = words.cloned().collect();
        let path = if config.is_none_or(|config| config.command.is_empty()) {
            directory.join("bootstrap")
        } else {
            let command = words.remove(0);
            if command.contains('/') {
                directory.join(command)
            } else {
                look_up(OsStr::new(&command), &search, &directory).ok_or_else(|| {
                    let what = format!("'{command}' is not in PATH ({})", search.display());
                    Error::invalid("custom_runtime_config.command", what)
                })?
            }
        };
        Ok(Self { directory, path, args: words, search })
    }

    /// Whether it exists, may be executed, and its interpreter is there.
    pub(super) fn check(&self) -> Result<()> {
        if !self.directory.is_dir() {
            let what = format!("'{}' is no directory", self.directory.display());
            return Err(Error::invalid("code.path", what));
        }
        let shown = self.path.display();
        if !self.path.is_file() {
            return Err(Error::invalid("command", format_args!("'{shown}' is no file")));
        }
        if !is_executable(&self.path) {
            let what = format!("'{shown}' is not executable");
            return Err(Error::invalid("command", what));
        }
        let head = head(&self.path)
            .map_err(|error| Error::invalid("command", format_args!("'{shown}': {error}")))?;
        match interpreter(&head) {
            None => Ok(()),
            Some(Interpreter::Path(path)) => {
                if is_executable(&self.directory.join(&path)) {
                    return Ok(());
                }
                let what = format!("interpreter '{}' of '{shown}' is missing", path.display());
                Err(Error::invalid("command", what))
            }
            Some(Interpreter::Named(name)) => {
                if look_up(&name, &self.search, &self.directory).is_some() {
                    return Ok(());
                }
                let (name, path) = (name.display(), self.search.display());
                let what =
                    format!("interpreter '{name}' of '{shown}' is missing: not in PATH ({path})");
                Err(Error::invalid("command", what))
            }
        }
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

fn look_up(name: &OsStr, search: &OsStr, directory: &Path) -> Option<PathBuf> {
    std::env::split_paths(search)
        .map(|folder| directory.join(folder).join(name))
        .find(|path| is_executable(path))
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    std::fs::File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// What a file's `#!` line asks for.
#[derive(PartialEq, Eq, Debug)]
enum Interpreter {
    /// This file.
    Path(PathBuf),
    /// What `env` finds under this name.
    Named(OsString),
}

fn interpreter(head: &[u8]) -> Option<Interpreter> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next()?;
    let mut words =
        line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty());
    let path = Path::new(OsStr::from_bytes(words.next()?));
    if path.file_name() != Some(OsStr::new("env")) {
        return Some(Interpreter::Path(path.into()));
    }
    // `env` takes options and assignments before the name; `-S` may be joined to what it splits.
    let word = words.find_map(|word| {
        let word = word.strip_prefix(b"-S").unwrap_or(word);
        let is_name = !word.is_empty() && !word.starts_with(b"-") && !word.contains(&b'=');
        is_name.then_some(word)
    });
    Some(match word {
        None => Interpreter::Path(path.into()),
        Some(word) if word.contains(&b'/') => Interpreter::Path(OsStr::from_bytes(word).into()),
        Some(word) => Interpreter::Named(OsStr::from_bytes(word).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_2_the_interpreter_of_a_script_is_found_as_the_kernel_and_env_do() {
        let path = |text: &str| Some(Interpreter::Path(text.into()));
        let named = |text: &str| Some(Interpreter::Named(text.into()));
        let cases = [
            ("#!/bin/sh\n", path("/bin/sh")),
            ("#! /bin/bash -e\nx", path("/bin/bash")),
            ("#!/usr/bin/env python3\n", named("python3")),
            ("#!/usr/bin/env -S node --x\n", named("node")),
            ("#!/usr/bin/env -Snode --x\n", named("node")),
            ("#!/usr/bin/env -S A=1 ruby\n", named("ruby")),
            ("#!/usr/bin/env /opt/x\n", path("/opt/x")),
            ("#!/bin/sh\r\n", path("/bin/sh")),
            ("#!/bin/sh", path("/bin/sh")),
            ("\x7fELF", None),
            ("#!", None),
            ("", None),
        ];
        for (head, expected) in cases {
            assert_eq!(interpreter(head.as_bytes()), expected, "{head:?}");
        }
    }
}
