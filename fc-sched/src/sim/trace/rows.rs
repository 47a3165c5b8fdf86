//! Rows of comma-separated values with a header, whose errors say where they come from.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::StringRecord;
use fc_core::{Error, Result};

use super::number::decimal;

/// Bytes of one row: ten times the widest of the known data sets (5093 functions).
const ROW_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Characters of a value or a name that an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// A file of rows.
pub(super) struct Rows<R> {
    reader: csv::Reader<Watched<R>>,
    watch: Rc<Watch>,
    file: String,
    header: StringRecord,
    record: StringRecord,
}

impl Rows<File> {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        match File::open(path) {
            Ok(input) => Self::new(input, file),
            Err(error) => Err(Error::invalid("trace", format_args!("{file}: {error}"))),
        }
    }
}

impl<R: Read> Rows<R> {
    /// Reads the header. `file` is what errors call the input.
    pub(super) fn new(input: R, file: String) -> Result<Self> {
        let watch = Rc::new(Watch::default());
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            // Rows are as long as the header, but for lines without anything.
            .flexible(true)
            // A carriage return before it is white space, which values are without.
            .terminator(csv::Terminator::Any(b'\n'))
            .buffer_capacity(64 * 1024)
            .from_reader(Watched { input, watch: watch.clone() });
        let (header, record) = (StringRecord::new(), StringRecord::new());
        let mut rows = Self { reader, watch, file, header, record };
        if !rows.advance()? {
            let what = format!("{} is empty, a header was expected", rows.file);
            return Err(Error::invalid("trace", what));
        }
        rows.header = rows.record.iter().map(str::trim_ascii).collect();
        Ok(rows)
    }

    /// What errors call the input.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn header(&self) -> &StringRecord {
        &self.header
    }

    /// The place of a column that must be there once.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        self.optional_column(name)?.ok_or_else(|| {
            Error::invalid("trace", format_args!("{} has no column {name:?}", self.file))
        })
    }

    /// The place of a column that is there at most once.
    pub(super) fn optional_column(&self, name: &str) -> Result<Option<usize>> {
        let mut places = self.header.iter().enumerate().filter(|(_, column)| *column == name);
        match (places.next(), places.next()) {
            (_, Some(_)) => {
                let what = format!("{} has two columns {name:?}", self.file);
                Err(Error::invalid("trace", what))
            }
            (place, None) => Ok(place.map(|(place, _)| place)),
        }
    }

    /// The next row, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        if !self.advance()? {
            return Ok(None);
        }
        let line = self.line();
        let (columns, expected) = (self.record.len(), self.header.len());
        if columns != expected {
            let file = &self.file;
            let what = format!("{file}, line {line}: {columns} columns, the header has {expected}");
            return Err(Error::invalid("trace", what));
        }
        let Self { file, header, record, .. } = self;
        Ok(Some(Row { file, line, header, record }))
    }

    /// Reads up to the next line that has anything.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.watch.left.set(ROW_BYTES_MAX);
            match self.reader.read_record(&mut self.record) {
                Ok(true) if self.record.len() == 1 && self.record[0].trim_ascii().is_empty() => {}
                Ok(more) => return Ok(more),
                Err(error) => return Err(self.refusal(&error)),
            }
        }
    }

    /// The line on which the last row ended.
    fn line(&self) -> u64 {
        let end = self.reader.position();
        let ended_by_eof =
            end.byte() == self.watch.given.get() && self.watch.last.get() != Some(b'\n');
        end.line() - u64::from(!ended_by_eof && end.line() > 1)
    }

    fn refusal(&self, error: &csv::Error) -> Error {
        let file = &self.file;
        let what = match error.kind() {
            csv::ErrorKind::Io(io) => {
                let line = self.reader.position().line();
                match Error::find(io) {
                    Some(ours) => format!("{file}, line {line}: {ours}"),
                    None => format!("{file}, line {line}: {io}"),
                }
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                let column = Shown(self.header.get(err.field()).unwrap_or("?"));
                format!("{file}, line {}, column {column}: the value is not UTF-8", self.line())
            }
            _ => format!("{file}, line {}: {error}", self.line()),
        };
        Error::invalid("trace", what)
    }
}

/// One row and its place.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    file: &'r str,
    line: u64,
    header: &'r StringRecord,
    record: &'r StringRecord,
}

impl<'r> Row<'r> {
    /// The value without white space around it; empty if there is none.
    pub(super) fn text(self, column: usize) -> &'r str {
        self.record.get(column).unwrap_or("").trim_ascii()
    }

    /// A name of 1 to `bytes_max` bytes.
    pub(super) fn name(self, column: usize, bytes_max: usize) -> Result<&'r str> {
        match self.text(column) {
            "" => Err(self.refuse(column, "is no name")),
            long if long.len() > bytes_max => {
                let what = format!("is longer than {bytes_max} bytes");
                Err(self.refuse(column, what))
            }
            name => Ok(name),
        }
    }

    /// A number in units of 10^-`places`.
    pub(super) fn number(self, column: usize, places: u32) -> Result<i64> {
        decimal(self.text(column), places).map_err(|reason| self.refuse(column, reason))
    }

    /// The same, not negative and at most `most` units, which `limit` says in words.
    pub(super) fn at_most(self, column: usize, places: u32, most: u64, limit: &str) -> Result<u64> {
        match u64::try_from(self.number(column, places)?) {
            Err(_) => Err(self.refuse(column, "is negative")),
            Ok(value) if value > most => {
                Err(self.refuse(column, format_args!("is over the limit of {limit}")))
            }
            Ok(value) => Ok(value),
        }
    }

    /// The error that `column` of this row `what`.
    pub(super) fn refuse(self, column: usize, what: impl fmt::Display) -> Error {
        let name = Shown(self.header.get(column).unwrap_or("?")).to_string();
        let value = Shown(self.text(column));
        let place = format_args!("{}, line {}", self.file, self.line);
        Error::invalid(&name, format_args!("\"{value}\" {what} ({place})"))
    }
}

/// Text of others, shortened and without control characters.
struct Shown<'t>(&'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(SHOWN_CHARS_MAX) {
            write!(f, "{}", char.escape_debug())?;
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// What a reader has read ahead.
#[derive(Default)]
struct Watch {
    /// Bytes that may be read until a row ends, so that a file of one row is not held whole.
    left: Cell<u64>,
    /// Bytes given.
    given: Cell<u64>,
    /// The last of them.
    last: Cell<Option<u8>>,
}

struct Watched<R> {
    input: R,
    watch: Rc<Watch>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Watch { left, given, last } = &*self.watch;
        if left.get() == 0 {
            let what = format!("the row is over the limit of {ROW_BYTES_MAX} bytes");
            return Err(io::Error::other(Error::invalid("row", what)));
        }
        let read = self.input.read(buffer)?;
        left.set(left.get().saturating_sub(read as u64));
        given.set(given.get() + read as u64);
        last.set(buffer[..read].last().copied().or(last.get()));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Rows<&[u8]>> {
        Rows::new(text.as_bytes(), "some.csv".into())
    }

    fn check_refused(text: &[u8], expected: &str) {
        let mut rows = Rows::new(text, "some.csv".into()).unwrap();
        let refused = loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{expected}: nothing was refused"),
                Err(error) => break error,
            }
        };
        assert!(refused.to_string().contains(expected), "{refused}");
    }

    #[test]
    fn rows_have_names_numbers_and_places() {
        let mut rows =
            rows("\u{feff}name,value\r\n\"a, b\", 1.5 \n\n\r\n\"last\",\"2\"\r\n\r\n").unwrap();
        assert_eq!((rows.column("name").unwrap(), rows.column("value").unwrap()), (0, 1));
        assert_eq!(rows.optional_column("third").unwrap(), None);
        let row = rows.next().unwrap().unwrap();
        assert_eq!((row.name(0, 4).unwrap(), row.number(1, 3).unwrap()), ("a, b", 1500));
        assert_eq!(
            row.name(0, 3).unwrap_err().message(),
            "name: \"a, b\" is longer than 3 bytes (some.csv, line 2)"
        );
        let last = rows.next().unwrap().unwrap();
        let refused = last.at_most(1, 0, 1, "1 apple").unwrap_err();
        let expected = "value: \"2\" is over the limit of 1 apple (some.csv, line 5)";
        assert_eq!(refused.message(), expected);
        assert!(rows.next().unwrap().is_none());
    }

    #[test]
    fn a_broken_file_says_where() {
        assert!(rows("").err().unwrap().message().contains("some.csv is empty"));
        let twice = rows("a,a\n").unwrap();
        assert!(twice.column("a").unwrap_err().message().contains("two columns \"a\""));
        assert!(twice.column("b").unwrap_err().message().contains("no column \"b\""));
        check_refused(b"a,b\n1,2\n3\n", "some.csv, line 3: 1 columns, the header has 2");
        check_refused(b"a,b\r\n1,2\r\n3\r\n", "some.csv, line 3: 1 columns");
        check_refused(b"a,b\n1,2\n\n3", "some.csv, line 4: 1 columns, the header has 2");
        check_refused(b"a,b\n\"1\n\",2\n3\n", "some.csv, line 4: 1 columns");
        check_refused(b"a,b\n1,\xff\n", "some.csv, line 2, column b: the value is not UTF-8");
        let missing = Rows::open(Path::new("/no/such/file")).err().unwrap();
        assert!(missing.message().contains("/no/such/file: No such file"), "{missing}");
    }

    #[test]
    fn a_row_without_end_is_not_held() {
        let endless = io::repeat(b'x').take(64 * ROW_BYTES_MAX);
        let refused = Rows::new(endless, "some.csv".into()).err().unwrap();
        assert!(refused.message().contains("over the limit of 4194304 bytes"), "{refused}");
        // An open quotation mark hides the ends of lines.
        let text = format!("a\n1\n\"{}", "x\n".repeat(ROW_BYTES_MAX as usize));
        check_refused(text.as_bytes(), "over the limit of 4194304 bytes");
    }

    #[test]
    fn values_in_errors_are_short_and_printable() {
        let long = format!("a\n\"\u{1b}[31m{}\"\n", "x".repeat(1000));
        let mut rows = rows(&long).unwrap();
        let refused = rows.next().unwrap().unwrap().number(0, 0).unwrap_err();
        assert!(refused.message().starts_with("a: \"\\u{1b}[31mxxx"), "{refused}");
        assert!(refused.message().contains("x…\" is no number"), "{refused}");
    }
}
