//! Functions as folders: a `function.toml` beside the code.
//!
//! `function.toml` has the fields of [`FunctionSpec`] in snake case. Three defaults are the folder's
//! own: `function_name` is the folder's name, the code is the folder itself, and without an
//! `[http_trigger]` table the function has a trigger for all methods, open to everybody.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("resize");
//! std::fs::create_dir(&path).unwrap();
//! std::fs::write(path.join("function.toml"), "memory_size = 1024\ncpu = 0.5\n").unwrap();
//!
//! let folder = fc::FunctionFolder::read(&path)?;
//! assert_eq!((folder.spec.function_name.as_str(), folder.spec.memory_size), ("resize", 1024));
//! # Ok::<(), fc::Error>(())
//! ```

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fc_core::{CodeRef, Error, FunctionSpec, Result};

/// The file that makes a folder a function.
pub const FILE_NAME: &str = "function.toml";

/// A `function.toml` is no larger, bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Files and folders of one function, and function folders of one directory, at most.
pub const ENTRIES_MAX: usize = 100_000;

/// A function that was read from its folder.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct FunctionFolder {
    /// What `function.toml` asks for. [`Platform::deploy`](crate::Platform::deploy) proves it.
    pub spec: FunctionSpec,
    /// The folder, absolute, with the bytes of all its files. Symbolic links are not followed.
    pub code: CodeRef,
}

impl FunctionFolder {
    /// Reads the function in `path`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the file, and the line and field where there is one: a
    /// `function.toml` that is missing, unreadable, over 64 KB or not valid, or a folder of more
    /// than 100 000 entries.
    pub fn read(path: &Path) -> Result<Self> {
        let path = fs::canonicalize(path).map_err(|error| unreadable(path, error))?;
        let file = path.join(FILE_NAME);
        let text = read_text(&file)?;
        let mut spec: FunctionSpec =
            toml::from_str(&text).map_err(|error| malformed(&file, &text, error))?;
        if spec.function_name.is_empty() {
            let name = path.file_name().unwrap_or_default().to_str();
            let name = name.ok_or_else(|| invalid(&path, "the folder's name is not UTF-8"))?;
            spec.function_name = name.to_owned();
        }
        spec.http_trigger.get_or_insert_default();
        let unpacked_bytes = measure(&path)?;
        Ok(Self { spec, code: CodeRef::Directory { path, unpacked_bytes } })
    }
}

/// The function folders in `dir`, in the order of their names, each with what reading it gave.
///
/// A folder without a `function.toml` is none.
///
/// # Errors
///
/// `InvalidArgument` if `dir` itself cannot be listed, or has more than 100 000 entries.
pub fn folders(dir: &Path) -> Result<Vec<(PathBuf, Result<FunctionFolder>)>> {
    let mut paths = Vec::new();
    for (count, entry) in fs::read_dir(dir).map_err(|error| unreadable(dir, error))?.enumerate() {
        if count == ENTRIES_MAX {
            return Err(too_many(dir));
        }
        let path = entry.map_err(|error| unreadable(dir, error))?.path();
        // Only what is surely absent is passed over: what cannot be looked at is reported.
        let absent = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        };
        if !fs::symlink_metadata(path.join(FILE_NAME)).is_err_and(|error| absent(&error)) {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let folder = FunctionFolder::read(&path);
        (path, folder)
    };
    Ok(paths.into_iter().map(read).collect())
}

fn read_text(file: &Path) -> Result<String> {
    let unreadable = |error| unreadable(file, error);
    // Looked at before it is opened: opening a named pipe would wait for its writer.
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(invalid(file, "is no regular file"));
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(unreadable)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(invalid(file, format_args!("is over the limit of {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
        invalid(file, format_args!("line {line}: is not UTF-8"))
    })
}

/// Bytes of all files under `path`.
fn measure(path: &Path) -> Result<u64> {
    let (mut bytes, mut entries) = (0u64, 0);
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(too_many(path));
            }
            // Of a link, this is the link's own.
            let metadata = entry.metadata().map_err(|error| unreadable(&entry.path(), error))?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(bytes)
}

/// What the TOML reader said, in one line: where, which field, what.
fn malformed(file: &Path, text: &str, mut error: toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| line_at(text.as_bytes(), span.start));
    // Without the input, the text is the message and the field's path instead of an excerpt.
    error.set_input(None);
    let shown = error.to_string();
    let mut lines = shown.lines().filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or("not valid TOML");
    let field = lines.find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    let separator = if field.is_some() { ": " } else { "" };
    let field = field.unwrap_or_default();
    invalid(file, format_args!("line {line}: {field}{separator}{what}"))
}

fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn invalid(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::invalid(&path.display().to_string(), what)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    invalid(path, &error).with_source(error)
}

fn too_many(path: &Path) -> Error {
    invalid(path, format_args!("has over {ENTRIES_MAX} entries"))
}

#[cfg(test)]
mod tests {
    use fc_core::{AuthType, HttpTriggerSpec, Limits};

    use super::*;

    fn folder(name: &str, toml: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(FILE_NAME), toml).unwrap();
        (dir, path)
    }

    fn refusal(toml: impl AsRef<[u8]>) -> String {
        let (_dir, path) = folder("f", toml);
        let error = FunctionFolder::read(&path).unwrap_err();
        assert_eq!(error.code(), "InvalidArgument");
        let file = path.join(FILE_NAME).display().to_string();
        let what = error.message().strip_prefix(&file).expect("names the file").to_owned();
        what.trim_start_matches(": ").to_owned()
    }

    #[test]
    fn an_empty_file_is_a_function_named_as_its_folder_and_open_to_all() {
        let (_dir, path) = folder("page", "");
        let read = FunctionFolder::read(&path).unwrap();
        assert_eq!(read.spec.function_name, "page");
        assert_eq!(read.spec.http_trigger, Some(HttpTriggerSpec::default()));
        assert_eq!(read.code, CodeRef::Directory { path, unpacked_bytes: 0 });
        read.spec.validate(&Limits::default()).unwrap();
    }

    #[test]
    fn every_field_of_the_issue_is_read() {
        let (_dir, path) = folder(
            "f",
            r#"
            function_name = "other"
            runtime = "custom.debian11"
            handler = "index.handler"
            cpu = 0.5
            memory_size = 1024
            timeout = 7
            instance_concurrency = 9
            idle_timeout = 11
            environment_variables = { A = "b" }
            [custom_runtime_config]
            command = ["python3"]
            args = ["x.py"]
            port = 8080
            [instance_lifecycle_config.initializer]
            handler = "init"
            timeout = 13
            [http_trigger]
            methods = ["GET"]
            auth_type = "function"
            "#,
        );
        let spec = FunctionFolder::read(&path).unwrap().spec;
        assert_eq!(spec.function_name, "other");
        assert_eq!((spec.timeout, spec.idle_timeout), (7, Some(11)));
        assert_eq!(spec.environment_variables["A"], "b");
        let custom = spec.custom_runtime_config.clone().unwrap();
        assert_eq!((custom.command[0].as_str(), custom.port), ("python3", 8080));
        let trigger = spec.http_trigger.clone().unwrap();
        assert_eq!((trigger.methods.len(), trigger.auth_type), (1, AuthType::Function));
        spec.validate(&Limits::default()).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_field() {
        let said = refusal("cpu = 0.5\n\ntimeout = \"x\"\n");
        assert!(said.starts_with("line 3: timeout: invalid type"), "{said}");
        let said = refusal("\n[http_trigger]\nmethods = 5\n");
        assert!(said.starts_with("line 3: http_trigger.methods: invalid type"), "{said}");
        let said = refusal("memory = 5\n");
        assert!(said.starts_with("line 1: ") && said.contains("`memory`"), "{said}");
        let said = refusal("[http_trigger]\nauth_type = \"none\"");
        assert!(said.starts_with("line 2: http_trigger.auth_type: "), "{said}");
        let said = refusal("timeout = -1");
        assert!(said.starts_with("line 1: timeout: "), "{said}");
        let said = refusal("a = \n");
        assert!(said.starts_with("line 1: "), "{said}");
        assert_eq!(refusal(b"cpu = 1\n# \xff"), "line 2: is not UTF-8");
    }

    #[test]
    fn files_of_every_size_and_kind_are_bounded() {
        let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        let (_dir, path) = folder("f", comment(64 * 1024));
        FunctionFolder::read(&path).unwrap();
        assert_eq!(refusal(comment(64 * 1024 + 1)), "is over the limit of 65536 bytes");

        fs::remove_file(path.join(FILE_NAME)).unwrap();
        assert!(FunctionFolder::read(&path).unwrap_err().message().contains(FILE_NAME));
        fs::create_dir(path.join(FILE_NAME)).unwrap();
        assert!(FunctionFolder::read(&path).unwrap_err().message().ends_with("no regular file"));
        assert!(FunctionFolder::read(&path.join("absent")).is_err());
    }

    #[test]
    fn the_code_is_measured_and_links_are_not_followed() {
        let (dir, path) = folder("f", "cpu = 0.35\n");
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/data"), vec![0; 1000]).unwrap();
        fs::write(dir.path().join("outside"), vec![0; 100_000]).unwrap();
        std::os::unix::fs::symlink(dir.path().join("outside"), path.join("l")).unwrap();
        std::os::unix::fs::symlink(&path, path.join("round")).unwrap();
        let CodeRef::Directory { unpacked_bytes, .. } = FunctionFolder::read(&path).unwrap().code
        else {
            panic!("a folder's code is a directory");
        };
        assert!((1_011..2_000).contains(&unpacked_bytes), "{unpacked_bytes}");
    }

    #[test]
    fn all_folders_are_listed_in_order_each_with_its_own_outcome() {
        let dir = tempfile::tempdir().unwrap();
        for (name, toml) in [("b", Some("cpu = [")), ("a", Some("")), ("c", None), ("d", Some(""))]
        {
            fs::create_dir(dir.path().join(name)).unwrap();
            if let Some(toml) = toml {
                fs::write(dir.path().join(name).join(FILE_NAME), toml).unwrap();
            }
        }
        fs::write(dir.path().join("README.md"), "").unwrap();
        let found = folders(dir.path()).unwrap();
        let names = found.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "d"]);
        let read: Vec<bool> = found.iter().map(|(_, folder)| folder.is_ok()).collect();
        assert_eq!(read, [true, false, true]);
        assert!(folders(&dir.path().join("absent")).is_err());
    }

    /// Whatever stands in the file, reading it gives an answer.
    #[test]
    fn no_bytes_make_it_panic() {
        let valid = "cpu = 0.35\n[http_trigger]\nmethods = [\"GET\"]\n# \u{e9}\n".as_bytes();
        let (_dir, path) = folder("f", "");
        for cut in 0..valid.len() {
            for flip in [0x00u8, 0x01, 0x20, 0x80, 0xff] {
                let mut bytes = valid[..=cut].to_vec();
                bytes[cut] ^= flip;
                fs::write(path.join(FILE_NAME), &bytes).unwrap();
                let _ = FunctionFolder::read(&path);
            }
        }
    }
}
