//! Numbers and texts as bytes: little-endian, lengths first.

use bytes::{BufMut, Bytes, BytesMut};
use fc_core::{Error, Result, Timestamp};

#[derive(Default)]
pub(super) struct Writer(pub(super) BytesMut);

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    pub(super) fn count(&mut self, value: u32) {
        self.0.put_u32_le(value);
    }

    pub(super) fn number(&mut self, value: u64) {
        self.0.put_u64_le(value);
    }

    pub(super) fn time(&mut self, value: Timestamp) {
        self.number(value.as_unix_millis());
    }

    /// A name: lanes and ids are far below 64 KB, by their own limits.
    pub(super) fn text(&mut self, value: &str) {
        self.0.put_u16_le(u16::try_from(value.len()).unwrap_or(u16::MAX));
        self.0.put_slice(value.as_bytes());
    }

    /// Notes and reasons are far below 4 GB, by the driver's limit.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.count(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.put_slice(value);
    }
}

/// What is left to read.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| cut())
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn count(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_unix_millis(self.number()?))
    }

    pub(super) fn text(&mut self) -> Result<&'b str> {
        let count = u16::from_le_bytes(self.array()?);
        utf8(self.take(usize::from(count))?)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.slice()?))
    }

    pub(super) fn string(&mut self) -> Result<String> {
        Ok(utf8(self.slice()?)?.to_owned())
    }

    fn slice(&mut self) -> Result<&'b [u8]> {
        let count = self.count()?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::internal("a text is not UTF-8"))
}

fn cut() -> Error {
    Error::internal("the bytes end too early")
}
