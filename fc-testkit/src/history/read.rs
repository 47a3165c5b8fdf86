//! Reading histories.

use std::path::Path;

use super::Event;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{file}: {error}")]
    Io {
        /// Which.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// A line that is no event, and is not the torn end of a killed process.
    #[error("{file}, line {line}: {error}")]
    Garbage {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// Reads the files of a run's processes, and puts their events in the order of time.
///
/// # Errors
///
/// A file that cannot be read, and a line that is no event. Only a last line without its end may be
/// torn: the process was killed while it wrote it.
pub fn read(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => events.extend(parse(&file, &bytes)?),
            Err(error) => return Err(ReadError::Io { file, error }),
        }
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// Reads one file's bytes.
///
/// # Errors
///
/// As [`read`].
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let last = lines.peek().is_none();
        if last && line.is_empty() {
            break;
        }
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            // What a torn line lacks is its end. Anything else is no accident.
            Err(error) if last && error.is_eof() => break,
            Err(error) => {
                return Err(ReadError::Garbage { file: file.to_owned(), line: number + 1, error });
            }
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Outcome, Submission, What};

    fn lines() -> (Vec<Event>, Vec<u8>) {
        let mut submission = Submission::new("s", "t", "p");
        submission.ttl_ms = Some(5);
        let end = What::AttemptEnd { task: "t".into(), fence: 3, outcome: Outcome::FunctionError };
        let all = [What::Submit(submission), What::ack("s"), end, What::CrashBegin];
        let events: Vec<_> = (0..).zip(all).map(|(at, what)| Event::new(at, what)).collect();
        let mut bytes = Vec::new();
        for event in &events {
            bytes.extend(serde_json::to_vec(event).unwrap());
            bytes.push(b'\n');
        }
        (events, bytes)
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let (events, bytes) = lines();
        assert_eq!(parse("f", &bytes).unwrap(), events);
        let first = String::from_utf8(bytes).unwrap();
        assert!(
            first.starts_with(r#"{"at":0,"wall":0,"host":"","event":"submit","id":"s""#),
            "{first}"
        );
    }

    /// Wherever the process is killed: the whole lines are there.
    #[test]
    fn a_torn_last_line_is_left_out() {
        let (events, bytes) = lines();
        for cut in 0..=bytes.len() {
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            let read = parse("f", &bytes[..cut]).unwrap();
            // A line may be whole but for its end.
            assert!(read.len() == whole || read.len() == whole + 1, "{cut}");
            assert_eq!(read, events[..read.len()]);
        }
    }

    #[test]
    fn other_garbage_is_reported() {
        let (_, bytes) = lines();
        let text = String::from_utf8(bytes).unwrap();
        let torn = text.replacen("\"wall\"", "\n\"wall\"", 1);
        let unknown = text.replace("crash_begin", "crash_began");
        for (garbage, line) in [(torn, 1), (unknown, 4), (format!("{text}garbage"), 5)] {
            let error = parse("f", garbage.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(&format!("f, line {line}:")), "{error}");
        }
        assert!(read(["/no/such/file"]).is_err());
    }
}
