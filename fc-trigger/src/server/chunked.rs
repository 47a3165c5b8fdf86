//! The framing of a chunked body, byte by byte.

use super::Violation;
use super::head::{check_text, is_token};

/// A chunk's size line, extensions included.
const SIZE_LINE_BYTES_MAX: usize = 128;
/// All trailers of a body; they are dropped.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(super) struct Chunks {
    stage: Stage,
    /// The size line or the trailer line that is being read.
    line: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Size,
    Data(u64),
    /// The CR, then the LF behind a chunk's data.
    DataCr,
    DataLf,
    Trailer,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Size, line: Vec::new(), trailer_bytes: 0 }
    }

    /// Reads on. Gives how many of `bytes` belong to the body, and whether it ends there.
    ///
    /// # Errors
    ///
    /// The violation, and how many bytes before it were in order.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), (usize, Violation)> {
        let mut at = 0;
        while at < bytes.len() {
            match self.stage {
                Stage::Data(left) => {
                    let here = left.min((bytes.len() - at) as u64);
                    at += here as usize;
                    self.stage =
                        if here == left { Stage::DataCr } else { Stage::Data(left - here) };
                    continue;
                }
                Stage::DataCr if bytes[at] == b'\r' => self.stage = Stage::DataLf,
                Stage::DataLf if bytes[at] == b'\n' => self.stage = Stage::Size,
                Stage::DataCr | Stage::DataLf => return Err((at, Violation::ChunkSize)),
                Stage::Size => self.size(bytes[at]).map_err(|violation| (at, violation))?,
                Stage::Trailer => {
                    if self.trailer(bytes[at]).map_err(|violation| (at, violation))? {
                        return Ok((at + 1, true));
                    }
                }
            }
            at += 1;
        }
        Ok((at, false))
    }

    fn size(&mut self, byte: u8) -> Result<(), Violation> {
        if byte != b'\n' {
            if self.line.len() == SIZE_LINE_BYTES_MAX {
                return Err(Violation::ChunkSize);
            }
            self.line.push(byte);
            return Ok(());
        }
        let line = self.line.strip_suffix(b"\r").ok_or(Violation::ChunkSize)?;
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let extension = &line[digits..];
        let is_extension = extension.is_empty() || extension[0] == b';' && extension.is_ascii();
        // 15 digits cannot overflow, and no body comes near.
        if digits == 0 || digits > 15 || !is_extension || check_text(extension).is_err() {
            return Err(Violation::ChunkSize);
        }
        let size = line[..digits].iter().fold(0u64, |size, &digit| {
            size << 4 | u64::from((digit as char).to_digit(16).unwrap_or(0))
        });
        self.line.clear();
        self.stage = match size {
            0 => Stage::Trailer,
            size => Stage::Data(size),
        };
        Ok(())
    }

    /// Whether the body is over.
    fn trailer(&mut self, byte: u8) -> Result<bool, Violation> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Violation::Trailers);
        }
        if byte != b'\n' {
            self.line.push(byte);
            return Ok(false);
        }
        let line = self.line.strip_suffix(b"\r").ok_or(Violation::Trailers)?;
        if line.is_empty() {
            return Ok(true);
        }
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().ok_or(Violation::Trailers)?;
        if !is_token(name) || check_text(value).is_err() {
            return Err(Violation::Trailers);
        }
        self.line.clear();
        Ok(false)
    }
}
